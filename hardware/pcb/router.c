/* SPDX-License-Identifier: Apache-2.0 */
/* Routes a board of two outer layers whose inner ones are planes. A* on a grid of 0.1 mm, a net after the other; nets
 * that found no way are first in the next pass. Input and output: routing.py. It leaves open what it cannot do. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLASSES = 4, NETS = 512, PADS = 4096, SHAPES = 60000, PASSES = 12, VIA_COST = 80, BUCKETS = 1 << 16 };
static const double GRID = 0.1, EDGE = 0.7;
typedef struct { int net, class, layers; double x1, y1, x2, y2, half; } Shape; /* half 0: a rectangle */
typedef struct { int class, plane; } Net;
typedef struct { int net, layers, x, y; double cx, cy; } Pad;

static double width, height, plane[4], half_width[CLASSES], via_radius[CLASSES], distance[CLASSES][CLASSES];
static int classes, nets, pads, shapes, nx, ny;
static Net net_of[NETS];
static Pad pad_of[PADS];
static Shape shape_of[SHAPES];
static uint8_t *blocked[2], *via_blocked;
static int *cost, *from, *source, sources;
static int *bucket[BUCKETS], held[BUCKETS], room[BUCKETS];

static void stop(const char *why) { fprintf(stderr, "router: %s\n", why); exit(2); }

static double away(const Shape *s, double x, double y) {
  if (s->half == 0) return hypot(fmax(fmax(s->x1 - x, x - s->x2), 0), fmax(fmax(s->y1 - y, y - s->y2), 0));
  double dx = s->x2 - s->x1, dy = s->y2 - s->y1, long_ = dx * dx + dy * dy;
  double t = long_ > 0 ? ((x - s->x1) * dx + (y - s->y1) * dy) / long_ : 0;
  t = fmin(1, fmax(0, t));
  return hypot(x - s->x1 - t * dx, y - s->y1 - t * dy) - s->half;
}

static void keep_off(uint8_t *map, const Shape *s, double reach) {
  double r = reach + s->half;
  int left = (int)((fmin(s->x1, s->x2) - r) / GRID), right = (int)((fmax(s->x1, s->x2) + r) / GRID) + 1;
  int top = (int)((fmin(s->y1, s->y2) - r) / GRID), bottom = (int)((fmax(s->y1, s->y2) + r) / GRID) + 1;
  for (int y = top < 0 ? 0 : top; y <= bottom && y < ny; y++)
    for (int x = left < 0 ? 0 : left; x <= right && x < nx; x++)
      if (away(s, x * GRID, y * GRID) < reach - 1e-6) map[y * nx + x] = 1;
}

static void see(int net) { /* where this net's tracks and vias must not be */
  int class = net_of[net].class, size = nx * ny;
  memset(blocked[0], 0, size), memset(blocked[1], 0, size), memset(via_blocked, 0, size);
  for (int i = 0; i < shapes; i++) {
    const Shape *s = &shape_of[i];
    if (s->net == net) {
      if (s->half == 0) keep_off(via_blocked, s, via_radius[class] + 0.1); /* no via in a pad */
      continue;
    }
    double d = distance[class][s->class] + 0.01;
    for (int layer = 0; layer < 2; layer++)
      if (s->layers >> layer & 1 || s->class != class) keep_off(blocked[layer], s, d + half_width[class]);
    keep_off(via_blocked, s, d + via_radius[class]);
  }
  if (class != classes - 1) { /* the planes are the last class's */
    Shape all = {-1, classes - 1, 3, plane[0], plane[1], plane[2], plane[3], 0};
    double d = distance[class][classes - 1] + 0.01;
    keep_off(blocked[0], &all, d + half_width[class]), keep_off(blocked[1], &all, d + half_width[class]);
    keep_off(via_blocked, &all, d + via_radius[class]);
  }
  double edge = EDGE + half_width[class], via_edge = EDGE + via_radius[class];
  for (int y = 0; y < ny; y++)
    for (int x = 0; x < nx; x++) {
      double in = fmin(fmin(x * GRID, width - x * GRID), fmin(y * GRID, height - y * GRID));
      if (in < edge) blocked[0][y * nx + x] = blocked[1][y * nx + x] = 1;
      if (in < via_edge) via_blocked[y * nx + x] = 1;
    }
}

static void put(int key, int cell) {
  int k = key & (BUCKETS - 1);
  if (held[k] == room[k]) {
    room[k] = room[k] ? room[k] * 2 : 16;
    bucket[k] = realloc(bucket[k], room[k] * sizeof(int));
    if (!bucket[k]) stop("no memory");
  }
  bucket[k][held[k]++] = cell;
}

static int ahead(int x, int y, const Pad *to) { /* of the way, at least; diagonal 14, straight 10 */
  if (!to) return 0;
  int dx = abs(x - to->x), dy = abs(y - to->y);
  return dx > dy ? 10 * dx + 4 * dy : 10 * dy + 4 * dx;
}

/* From the sources to the pad `to`, or to any place for a via into the plane. The cell reached, or -1. */
static int search(const Pad *to) {
  int size = nx * ny, waiting = 0, key, found = -1;
  memset(cost, 0x3f, 2 * size * sizeof(int));
  memset(held, 0, sizeof held);
  int lowest = 1 << 30;
  for (int i = 0; i < sources; i++) {
    int cell = source[i], k = ahead(cell % size % nx, cell % size / nx, to);
    cost[cell] = 0, from[cell] = -1, put(k, cell), waiting++;
    if (k < lowest) lowest = k;
  }
  for (key = lowest; waiting && found < 0; key++) {
    int k = key & (BUCKETS - 1);
    for (int i = 0; i < held[k]; i++) {
      int cell = bucket[k][i], layer = cell / size, at = cell % size, x = at % nx, y = at / nx;
      waiting--;
      if (cost[cell] + ahead(x, y, to) != key) continue; /* reached more cheaply since, or of a later turn */
      double mx = x * GRID, my = y * GRID;
      if (to ? x == to->x && y == to->y && to->layers >> layer & 1
             : !via_blocked[at] && mx > plane[0] + 1 && my > plane[1] + 1 && mx < plane[2] - 1 && my < plane[3] - 1) {
        found = cell;
        break;
      }
      for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++) {
          int ax = x + dx, ay = y + dy, next = layer * size + ay * nx + ax;
          if ((!dx && !dy) || ax < 0 || ay < 0 || ax >= nx || ay >= ny || blocked[layer][ay * nx + ax]) continue;
          int c = cost[cell] + (dx && dy ? 14 : 10);
          if (c < cost[next]) cost[next] = c, from[next] = cell, put(c + ahead(ax, ay, to), next), waiting++;
        }
      int other = (1 - layer) * size + at, c = cost[cell] + VIA_COST;
      if (!via_blocked[at] && !blocked[1 - layer][at] && c < cost[other])
        cost[other] = c, from[other] = cell, put(c + ahead(x, y, to), other), waiting++;
    }
    held[k] = 0;
  }
  return found;
}

static void add(int net, int layers, int x1, int y1, int x2, int y2, double half) {
  if (shapes == SHAPES) stop("too many tracks");
  shape_of[shapes++] = (Shape){net, net_of[net].class, layers, x1 * GRID, y1 * GRID, x2 * GRID, y2 * GRID, half};
}

static void trace(int net, int cell) { /* back to the source, as straight pieces and vias */
  int size = nx * ny, class = net_of[net].class;
  while (cell >= 0) {
    int layer = cell / size, x = cell % size % nx, y = cell % size / nx, dx = 0, dy = 0, last = cell, next = from[cell];
    source[sources++] = cell;
    if (next >= 0 && next / size != layer) add(net, 3, x, y, x, y, via_radius[class]);
    while (next >= 0 && next / size == layer) {
      int sx = next % size % nx - last % size % nx, sy = next % size / nx - last % size / nx;
      if (last != cell && (sx != dx || sy != dy)) break;
      dx = sx, dy = sy, last = next, next = from[next];
      source[sources++] = last;
    }
    if (last != cell) add(net, 1 << layer, x, y, last % size % nx, last % size / nx, half_width[class]), cell = last;
    else cell = next;
  }
}

static void begin_at(const Pad *pad) {
  for (int layer = 0; layer < 2; layer++)
    if (pad->layers >> layer & 1) source[sources++] = layer * nx * ny + pad->y * nx + pad->x;
}

static int route(int net) { /* how many of its connections it could not make */
  int own[PADS], count = 0, failed = 0;
  for (int i = 0; i < pads; i++)
    if (pad_of[i].net == net) own[count++] = i;
  see(net);
  if (net_of[net].plane) {
    for (int i = 0; i < count; i++) {
      if (pad_of[own[i]].layers == 3) continue; /* it goes through the plane */
      sources = 0, begin_at(&pad_of[own[i]]);
      int cell = search(NULL);
      if (cell < 0) { failed++; continue; }
      int at = cell % (nx * ny);
      trace(net, cell), add(net, 3, at % nx, at / nx, at % nx, at / nx, via_radius[net_of[net].class]);
      see(net);
    }
    return failed;
  }
  if (count < 2) return 0;
  uint8_t done[PADS] = {1};
  sources = 0, begin_at(&pad_of[own[0]]);
  for (int joined = 1; joined < count; joined++) {
    int best = -1;
    double nearest = 1e9;
    for (int i = 0; i < count; i++)
      for (int j = 0; j < count; j++)
        if (done[i] && !done[j]) {
          double d = hypot(pad_of[own[i]].cx - pad_of[own[j]].cx, pad_of[own[i]].cy - pad_of[own[j]].cy);
          if (d < nearest) nearest = d, best = j;
        }
    int cell = search(&pad_of[own[best]]);
    if (cell < 0) failed++;
    else trace(net, cell), begin_at(&pad_of[own[best]]);
    done[best] = 1;
  }
  return failed;
}

static void need(int got, int wanted) { if (got != wanted) stop("the input ends too soon or is no number"); }

static void read_all(void) {
  need(scanf("%lf %lf %lf %lf %lf %lf %d %d %d", &width, &height, plane, plane + 1, plane + 2, plane + 3, &classes, &nets, &pads), 9);
  if (classes < 1 || classes > CLASSES || nets < 1 || nets > NETS || pads < 1 || pads > PADS || width > 300 || height > 300)
    stop("more than it can hold");
  for (int i = 0; i < classes; i++) {
    need(scanf("%lf %lf", &half_width[i], &via_radius[i]), 2);
    for (int j = 0; j < classes; j++) need(scanf("%lf", &distance[i][j]), 1);
  }
  for (int i = 0; i < nets; i++) {
    need(scanf("%d %d", &net_of[i].class, &net_of[i].plane), 2);
    if (net_of[i].class < 0 || net_of[i].class >= classes) stop("a net of no class");
  }
  for (int i = 0; i < pads; i++) {
    Shape s = {0};
    need(scanf("%d %d %lf %lf %lf %lf %d", &s.net, &s.class, &s.x1, &s.y1, &s.x2, &s.y2, &s.layers), 7);
    if (s.net >= nets || s.class < 0 || s.class >= classes) stop("a pad of no net or class");
    double cx = (s.x1 + s.x2) / 2, cy = (s.y1 + s.y2) / 2;
    if (cx < 0 || cy < 0 || cx > width || cy > height) stop("a pad beside the board");
    pad_of[i] = (Pad){s.net, s.layers, (int)lround(cx / GRID), (int)lround(cy / GRID), cx, cy};
    shape_of[i] = s;
  }
}

int main(void) {
  read_all();
  nx = (int)lround(width / GRID) + 1, ny = (int)lround(height / GRID) + 1;
  for (int layer = 0; layer < 2; layer++) blocked[layer] = malloc(nx * ny);
  via_blocked = malloc(nx * ny);
  cost = malloc(2 * nx * ny * sizeof(int)), from = malloc(2 * nx * ny * sizeof(int)), source = malloc(4 * nx * ny * sizeof(int));
  if (!blocked[0] || !blocked[1] || !via_blocked || !cost || !from || !source) stop("no memory");
  int order[NETS];
  double length[NETS];
  for (int i = 0; i < nets; i++) {
    double x1 = 1e9, x2 = -1e9, y1 = 1e9, y2 = -1e9;
    for (int p = 0; p < pads; p++)
      if (pad_of[p].net == i)
        x1 = fmin(x1, pad_of[p].cx), x2 = fmax(x2, pad_of[p].cx), y1 = fmin(y1, pad_of[p].cy), y2 = fmax(y2, pad_of[p].cy);
    length[i] = x2 - x1 + y2 - y1 - (net_of[i].class != classes - 1 ? 2000 : net_of[i].plane ? 1000 : 0), order[i] = i;
  }
  for (int i = 0; i < nets; i++)
    for (int j = i + 1; j < nets; j++)
      if (length[order[j]] < length[order[i]]) { int k = order[i]; order[i] = order[j], order[j] = k; }
  int least = 1 << 30, kept = 0;
  static Shape best[SHAPES];
  for (int pass = 0; pass < PASSES && least; pass++) {
    int open = 0, bad[NETS], bads = 0;
    shapes = pads;
    for (int i = 0; i < nets; i++) {
      int failed = route(order[i]);
      if (failed) open += failed, bad[bads++] = i;
    }
    fprintf(stderr, "pass %d: %d connections open, nets", pass + 1, open);
    for (int i = 0; i < bads; i++) fprintf(stderr, " %d", order[bad[i]]);
    fprintf(stderr, "\n");
    if (open < least) least = open, kept = shapes, memcpy(best, shape_of, shapes * sizeof(Shape));
    for (int i = 0; i < bads; i++) {
      int net = order[bad[i]];
      memmove(order + 1, order, bad[i] * sizeof(int)), order[0] = net;
    }
  }
  for (int i = pads; i < kept; i++)
    printf("%d %d %.4f %.4f %.4f %.4f\n", best[i].net, best[i].layers, best[i].x1, best[i].y1, best[i].x2, best[i].y2);
  printf("open %d\n", least);
  return 0;
}
