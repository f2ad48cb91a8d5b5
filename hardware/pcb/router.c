/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the tracks of a board: A* on a grid of 0.1 mm, two layers of tracks, planes inside.
 *
 * A net is the set of pieces already joined by its pads and given tracks; the nearest two pieces are joined until one
 * is left. A path may cross tracks of other nets, at a rising price; the crossed net is then removed and routed again.
 * Conflicts are counted on grids, one for each class of nets and layer. The work is bounded by MOST_WORK; the remaining
 * connections are then tried once more without crossing, and counted.
 *
 * Two nets of one class and of two lines (numbered from 1) keep lines_apart on a layer, if it is more than their class
 * requires. The grids treat every net as of another line; while a net is routed, its own line is counted with the
 * smaller distance.
 *
 * Reads: width height lines_apart classes nets pads tracks earlier planes holes; a class: half width, via radius,
 * distance to each class; a net: its class and line; a pad: net class line left top right bottom layers; a track: net
 * layers x1 y1 x2 y2; a plane's rectangle: net left top right bottom; a hole: x y radius. Tracks of an earlier run
 * follow the given ones, and may be removed. Layers: 1 front, 2 back, 3 both; a track of both is a via. Net -1: none,
 * line 0: none.
 * Writes: net layers x1 y1 x2 y2 for each track found, and "open N". */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLASSES = 8, NETS = 2048, SHAPES = 60000, PLANES = 64, VIA_COST = 60, BUCKETS = 1 << 17, SIDE = 600 };
enum { FAR = 1000000000, PRICE = 100, MOST_PRICE = 1500 };
static const double GRID = 0.1, EDGE = 0.7, NEAR = 1e-6, THROUGH_LAYERS = 1.0, INSIDE = 1.0, FROM_PAD = 0.1, HOLES_APART = 0.3;
static const long long MOST_WORK = 1500000000LL;
typedef struct { int net, class, line, layers, found; double x1, y1, x2, y2, half; } Shape; /* half 0: a pad, a rectangle */
typedef struct { int net; double x1, y1, x2, y2; } Plane;

static double width, height, lines_apart, half_width[CLASSES], via_radius[CLASSES], distance[CLASSES][CLASSES];
static int classes, nets, shapes, planes, nx, ny, size, class_of[NETS], line_of[NETS], tries[NETS];
static Shape shape_of[SHAPES];
static Plane plane_of[PLANES];
static uint16_t *hard[CLASSES][3], *soft[CLASSES][3]; /* front, back, vias: number of shapes too near */
static uint8_t *way, *goal, *history;
static int *cost, *touched, touches, *bucket[BUCKETS], held[BUCKETS], room[BUCKETS];
static int piece_of[SHAPES], own[SHAPES], owns;
static long long work;

static void stop(const char *why) { fprintf(stderr, "router: %s\n", why); exit(2); }
static void *get(size_t count, size_t each) { void *p = calloc(count, each); if (!p) stop("no memory"); return p; }

static double far(double x, double y) { return sqrt(x * x + y * y); }
static double away(const Shape *s, double x, double y) {
  if (s->half == 0) return far(fmax(fmax(s->x1 - x, x - s->x2), 0), fmax(fmax(s->y1 - y, y - s->y2), 0));
  double dx = s->x2 - s->x1, dy = s->y2 - s->y1, long_ = dx * dx + dy * dy;
  double t = long_ > 0 ? fmin(1, fmax(0, ((x - s->x1) * dx + (y - s->y1) * dy) / long_)) : 0;
  return far(x - s->x1 - t * dx, y - s->y1 - t * dy) - s->half;
}

static void count(uint16_t *map, const Shape *s, double reach, int by) {
  double r = reach + s->half, down = s->y2 - s->y1;
  int top = (int)((fmin(s->y1, s->y2) - r) / GRID), bottom = (int)((fmax(s->y1, s->y2) + r) / GRID) + 1;
  for (int y = top < 0 ? 0 : top; y <= bottom && y < ny; y++) {
    double begin = s->x1, end = s->x2; /* of the part of it that may be near this row */
    if (s->half > 0 && down != 0) {
      double t = (y * GRID - r - s->y1) / down, u = (y * GRID + r - s->y1) / down;
      begin = s->x1 + fmin(1, fmax(0, t)) * (s->x2 - s->x1), end = s->x1 + fmin(1, fmax(0, u)) * (s->x2 - s->x1);
    }
    int left = (int)((fmin(begin, end) - r) / GRID), right = (int)((fmax(begin, end) + r) / GRID) + 1;
    for (int x = left < 0 ? 0 : left; x <= right && x < nx; x++)
      if (away(s, x * GRID, y * GRID) < reach - NEAR) map[y * nx + x] += by;
  }
}

static void count_at(const Shape *s, int class, double d, int by) {
  uint16_t **maps = s->found ? soft[class] : hard[class];
  int through = distance[class][s->class] + 0.01 > THROUGH_LAYERS;
  for (int layer = 0; layer < 2; layer++)
    if (s->layers >> layer & 1 || through) count(maps[layer], s, d + 0.01 + half_width[class], by);
  count(maps[2], s, d + 0.01 + via_radius[class], by);
}

static double of_lines(int class, int other, double d) { return class == other ? fmax(d, lines_apart) : d; }
static void count_class(const Shape *s, int class, int by) {
  double d = distance[class][s->class];
  count_at(s, class, s->line ? of_lines(class, s->class, d) : d, by);
}

static double asked(const Shape *a, const Shape *b) { /* distance required between two shapes on one layer */
  double d = distance[a->class][b->class];
  return a->line && b->line && a->line != b->line ? of_lines(a->class, b->class, d) : d;
}
static int meet(const Shape *a, const Shape *b) { return a->layers & b->layers || distance[a->class][b->class] > THROUGH_LAYERS; }

static void count_all(const Shape *s, int by) { for (int c = 0; c < classes; c++) count_class(s, c, by); }

static int add(Shape s) {
  for (int i = shapes - 1; i >= 0 && i > shapes - 4000; i--) /* reuses removed shapes */
    if (shape_of[i].net == -2) { shape_of[i] = s; return i; }
  if (shapes == SHAPES) stop("too many tracks");
  shape_of[shapes] = s;
  return shapes++;
}

/* ---- the pieces of a net */
static int root(int i) { while (piece_of[i] != i) i = piece_of[i] = piece_of[piece_of[i]]; return i; }
static double side(const Shape *s, double x, double y) { return (s->x2 - s->x1) * (y - s->y1) - (s->y2 - s->y1) * (x - s->x1); }

static double apart(const Shape *a, const Shape *b) { /* below 0 when they touch */
  if (a->half == 0 && b->half == 0) {
    double right = fmax(a->x1 - b->x2, b->x1 - a->x2), down = fmax(a->y1 - b->y2, b->y1 - a->y2);
    return fmax(right, down) < 0 ? fmax(right, down) : hypot(fmax(right, 0), fmax(down, 0));
  }
  if (a->half > 0 && b->half > 0 && side(a, b->x1, b->y1) * side(a, b->x2, b->y2) < 0 && side(b, a->x1, a->y1) * side(b, a->x2, a->y2) < 0)
    return -a->half - b->half;
  if (a->half == 0) { const Shape *c = a; a = b, b = c; }
  double least = fmin(away(b, a->x1, a->y1), away(b, a->x2, a->y2)) - a->half;
  return b->half == 0 ? least : fmin(least, fmin(away(a, b->x1, b->y1), away(a, b->x2, b->y2)) - b->half);
}

static int has_plane(int net) {
  int found = 0;
  for (int i = 0; i < planes; i++) found |= plane_of[i].net == net;
  return found;
}

static int in_plane(int net, double x, double y, double inside) {
  for (int i = 0; i < planes; i++) {
    const Plane *p = &plane_of[i];
    if (p->net == net && x > p->x1 + inside && x < p->x2 - inside && y > p->y1 + inside && y < p->y2 - inside) return 1;
  }
  return 0;
}

static int pieces(int net) { /* their number; `own` has the net's shapes; the plane is the piece SHAPES - 1 */
  owns = 0;
  int planar = has_plane(net), found = 0, plane = SHAPES - 1;
  piece_of[plane] = plane;
  for (int i = 0; i < shapes; i++)
    if (shape_of[i].net == net) own[owns++] = i, piece_of[i] = i;
  for (int i = 0; i < owns; i++) {
    const Shape *a = &shape_of[own[i]];
    if (planar && a->layers == 3 && in_plane(net, (a->x1 + a->x2) / 2, (a->y1 + a->y2) / 2, 0)) piece_of[root(own[i])] = root(plane);
    for (int j = 0; j < i; j++)
      if (a->layers & shape_of[own[j]].layers && apart(a, &shape_of[own[j]]) < -NEAR) piece_of[root(own[i])] = root(own[j]);
  }
  for (int i = 0; i < owns; i++) found += root(own[i]) == own[i];
  return found + (planar && root(plane) == plane);
}

/* ---- the search */
static void put(int key, int cell) {
  int k = key & (BUCKETS - 1);
  if (held[k] == room[k]) {
    bucket[k] = realloc(bucket[k], (room[k] = room[k] ? room[k] * 2 : 16) * sizeof(int));
    if (!bucket[k]) stop("no memory");
  }
  bucket[k][held[k]++] = cell;
}

static int box[4]; /* of the goal, in cells */
static int ahead(int x, int y) { /* lower bound of the remaining cost; diagonal 14, straight 10 */
  int dx = x < box[0] ? box[0] - x : x > box[2] ? x - box[2] : 0, dy = y < box[1] ? box[1] - y : y > box[3] ? y - box[3] : 0;
  return dx > dy ? 10 * dx + 4 * dy : 10 * dy + 4 * dx;
}

static int waiting;
static void reach(int cell, int c, int step) {
  if (cost[cell] == FAR) touched[touches++] = cell;
  cost[cell] = c, way[cell] = step;
  put(c + ahead(cell % size % nx, cell % size / nx), cell), waiting++;
}

static void cells(const Shape *s, void (*each)(int)) { /* cells at which a track of the net may begin or end */
  for (int layer = 0; layer < 2; layer++) {
    if (!(s->layers >> layer & 1)) continue;
    if (s->half == 0) each(layer * size + (int)lround((s->y1 + s->y2) / 2 / GRID) * nx + (int)lround((s->x1 + s->x2) / 2 / GRID));
    int steps = (int)lround(fmax(fabs(s->x2 - s->x1), fabs(s->y2 - s->y1)) / GRID);
    for (int i = 0; s->half > 0 && i <= steps; i++) {
      double t = steps ? (double)i / steps : 0, x = s->x1 + t * (s->x2 - s->x1), y = s->y1 + t * (s->y2 - s->y1);
      each(layer * size + (int)lround(y / GRID) * nx + (int)lround(x / GRID));
    }
  }
}
static void begin(int cell) { if (cost[cell] == FAR) reach(cell, 0, 10); }
static void aim(int cell) {
  int x = cell % size % nx, y = cell % size / nx;
  goal[cell] = 1;
  if (x < box[0]) box[0] = x;
  if (x > box[2]) box[2] = x;
  if (y < box[1]) box[1] = y;
  if (y > box[3]) box[3] = y;
}
static void forget(int cell) { goal[cell] = 0; }

/* The cell at which the goal, or a permitted via into the plane, is reached; or -1. With price > 0 paths may cross
   other nets' tracks. */
static int search(int net, int to_plane, int price) {
  int c = class_of[net], found = -1, lowest = FAR;
  for (int i = 0; i < touches; i++) {
    int key = ahead(touched[i] % size % nx, touched[i] % size / nx);
    if (key < lowest) lowest = key;
  }
  for (int key = lowest; waiting && found < 0; key++) {
    int k = key & (BUCKETS - 1);
    while (held[k] && found < 0) { /* last in, first out: it is nearest to the goal */
      int cell = bucket[k][--held[k]], layer = cell / size, at = cell % size, x = at % nx, y = at / nx, old = cost[cell];
      waiting--, work++;
      if (old + ahead(x, y) != key) continue; /* a cheaper path was found since */
      int no_via = hard[c][2][at] || (!price && soft[c][2][at]);
      if (goal[cell] || (to_plane && !no_via && in_plane(net, x * GRID, y * GRID, INSIDE))) { found = cell; break; }
      for (int step = 0; step < 9; step++) {
        int ax = x + step % 3 - 1, ay = y + step / 3 - 1, to = layer * size + ay * nx + ax, there = ay * nx + ax;
        if (step == 4 || ax < 0 || ay < 0 || ax >= nx || ay >= ny || hard[c][layer][there]) continue;
        int more = soft[c][layer][there];
        if (more && !price) continue;
        int now = old + (step % 2 ? 10 : 14) + history[to] + (more ? price : 0);
        if (now < cost[to]) reach(to, now, step);
      }
      int other = (1 - layer) * size + at, now = old + VIA_COST + (soft[c][2][at] ? 4 * price : 0);
      if (!no_via && !hard[c][1 - layer][at] && (price || !soft[c][1 - layer][at]) && now < cost[other]) reach(other, now, 9);
    }
  }
  memset(held, 0, sizeof held), waiting = 0;
  return found;
}

static int first_new; /* first of the shapes that a trace adds to `own` */
static void lay(int net, int layers, int x1, int y1, int x2, int y2) {
  double half = layers == 3 ? via_radius[class_of[net]] : half_width[class_of[net]];
  own[owns++] = add((Shape){net, class_of[net], line_of[net], layers, 1, x1 * GRID, y1 * GRID, x2 * GRID, y2 * GRID, half});
}

static void trace(int net, int cell, int price) { /* back to its start, as straight pieces and vias */
  first_new = owns;
  int c = class_of[net], begin_x = cell % size % nx, begin_y = cell % size / nx, last = -1;
  for (;;) {
    int layer = cell / size, x = cell % size % nx, y = cell % size / nx, step = way[cell];
    if (price && soft[c][layer][y * nx + x] && history[cell] < 200) history[cell] += 20;
    if (step != last && (begin_x != x || begin_y != y)) lay(net, 1 << layer, begin_x, begin_y, x, y), begin_x = x, begin_y = y;
    if (step == 10) break;
    if (step == 9) lay(net, 3, x, y, x, y), cell = (1 - layer) * size + y * nx + x;
    else cell -= (step / 3 - 1) * nx + step % 3 - 1;
    last = step;
  }
}

static void take_up(int net) {
  for (int i = 0; i < shapes; i++)
    if (shape_of[i].net == net && shape_of[i].found) count_all(&shape_of[i], -1), shape_of[i].net = -2;
}

static void take_up_from(int shape) { /* removes the crossed path; a plane's net has many, of which only this one */
  Shape gone = shape_of[shape];
  count_all(&gone, -1), shape_of[shape].net = -2;
  for (int i = 0; i < shapes; i++) {
    const Shape *s = &shape_of[i];
    if (s->net == gone.net && s->found && s->layers & gone.layers && apart(s, &gone) < -NEAR) take_up_from(i);
  }
}

static int queue[NETS], queued, waits[NETS];
static void ask(int net) { if (!waits[net]) waits[net] = 1, queue[queued++] = net; }

static void clear_way(int net) { /* removes the nets that the new tracks cross */
  for (int i = first_new; i < owns; i++) {
    const Shape *a = &shape_of[own[i]];
    for (int j = 0; j < shapes; j++) {
      const Shape *b = &shape_of[j];
      if (!b->found || b->net < 0 || b->net == net) continue;
      if (meet(a, b) && apart(a, b) < asked(a, b) - NEAR) {
        int other = b->net;
        if (has_plane(other)) take_up_from(j);
        else take_up(other);
        ask(other);
      }
    }
  }
}

static double between(int piece, int other) { /* the nearest shapes of two pieces */
  double least = 1e9;
  for (int i = 0; i < owns; i++)
    for (int j = 0; root(own[i]) == piece && j < owns; j++)
      if (root(own[j]) == other) least = fmin(least, apart(&shape_of[own[i]], &shape_of[own[j]]));
  return least;
}

static void apart_from_vias(int shape, int by) { /* a net's vias keep clear of its holes and pads: an open hole takes the solder */
  const Shape *s = &shape_of[shape];
  int c = class_of[s->net];
  if (s->half == 0) count(hard[c][2], s, via_radius[c] + FROM_PAD, by);
  if (s->half > 0 && s->layers == 3) count(hard[c][2], s, HOLES_APART, by);
}

static void count_own_line(int net, int by) { /* counts the other nets of its line with the distance of their class */
  int c = class_of[net];
  for (int i = 0; line_of[net] && i < shapes; i++) {
    const Shape *s = &shape_of[i];
    if (s->net == -2 || s->net == net || s->line != line_of[net] || s->class != c) continue;
    count_class(s, c, -by), count_at(s, c, distance[c][c], by);
  }
}

static int join(int net, int price) { /* two of the pieces; 0 if no path was found */
  int plane = root(SHAPES - 1), planar = has_plane(net), piece = -1, other = -1, least = 1 << 30;
  for (int i = 0; i < owns; i++) {
    int r = root(own[i]), n = 0;
    if (r != own[i] || (planar && r == plane)) continue;
    for (int j = 0; !planar && j < owns; j++) n += root(own[j]) == r;
    if (n < least) least = n, piece = r;
  }
  if (piece < 0) stop("a net in pieces that it has not");
  double nearest = 1e9;
  for (int i = 0; i < owns && !planar; i++) {
    int r = root(own[i]);
    if (r != own[i] || r == piece) continue;
    double d = between(piece, r);
    if (d < nearest) nearest = d, other = r;
  }
  box[0] = box[1] = 1 << 30, box[2] = box[3] = -1;
  if (planar) box[0] = box[1] = 0, box[2] = nx, box[3] = ny;
  if (planar) other = plane;
  for (int i = 0; i < owns; i++) if (root(own[i]) == other) cells(&shape_of[own[i]], aim);
  for (int i = 0; i < owns; i++) if (root(own[i]) == piece) cells(&shape_of[own[i]], begin);
  int cell = search(net, planar, price), before = owns, at_goal = cell >= 0 && goal[cell];
  for (int i = 0; i < before; i++) if (root(own[i]) == other) cells(&shape_of[own[i]], forget);
  if (cell >= 0) {
    trace(net, cell, price);
    if (!at_goal) lay(net, 3, cell % size % nx, cell % size / nx, cell % size % nx, cell % size / nx);
    for (int i = before; i < owns; i++) piece_of[own[i]] = piece, apart_from_vias(own[i], 1);
    if (price) count_own_line(net, -1), clear_way(net), count_own_line(net, 1);
  }
  for (int i = 0; i < touches; i++) cost[touched[i]] = FAR;
  touches = 0;
  piece_of[piece] = other; /* joined, or given up */
  return cell >= 0;
}

static int route(int net, int price) { /* the number of failed connections */
  int failed = 0, left = pieces(net), c = class_of[net], before = owns;
  if (left < 2) return 0;
  count_own_line(net, 1);
  for (int i = 0; i < before; i++) {
    const Shape *s = &shape_of[own[i]];
    count_class(s, c, -1), apart_from_vias(own[i], 1);
  }
  while (left-- > 1) failed += !join(net, price);
  count_own_line(net, -1);
  for (int i = 0; i < before; i++) {
    const Shape *s = &shape_of[own[i]];
    count_class(s, c, 1), apart_from_vias(own[i], -1);
  }
  for (int i = before; i < owns; i++) count_all(&shape_of[own[i]], 1), apart_from_vias(own[i], -1);
  return failed;
}

static void need(int got, int wanted) { if (got != wanted) stop("the input ends too soon or is no number"); }

static void keep_off(double x1, double y1, double x2, double y2, double half, double extra) {
  Shape s = {-1, 0, 0, 3, 0, x1, y1, x2, y2, half};
  for (int c = 0; c < classes; c++) {
    for (int layer = 0; layer < 2; layer++) count(hard[c][layer], &s, extra + half_width[c], 1);
    count(hard[c][2], &s, extra + via_radius[c], 1);
  }
}

static void read_all(void) {
  int pads, tracks, earlier, holes;
  need(scanf("%lf %lf %lf %d %d %d %d %d %d %d", &width, &height, &lines_apart, &classes, &nets, &pads, &tracks, &earlier, &planes, &holes), 10);
  if (classes < 1 || classes > CLASSES || nets < 1 || nets > NETS || pads < 1 || tracks < 0 || earlier < 0 || pads + tracks + earlier > SHAPES / 2 || planes < 0 ||
      planes > PLANES || holes < 0 || holes > 100 || width > SIDE || height > SIDE)
    stop("more than it can hold");
  nx = (int)lround(width / GRID) + 1, ny = (int)lround(height / GRID) + 1, size = nx * ny;
  for (int c = 0; c < classes; c++) {
    need(scanf("%lf %lf", &half_width[c], &via_radius[c]), 2);
    for (int j = 0; j < classes; j++) need(scanf("%lf", &distance[c][j]), 1);
    for (int i = 0; i < 3; i++) hard[c][i] = get(size, 2), soft[c][i] = get(size, 2);
  }
  for (int i = 0; i < nets; i++) {
    need(scanf("%d %d", &class_of[i], &line_of[i]), 2);
    if (class_of[i] < 0 || class_of[i] >= classes) stop("a net of no class");
  }
  for (int i = 0; i < pads; i++) {
    Shape s = {0};
    need(scanf("%d %d %d %lf %lf %lf %lf %d", &s.net, &s.class, &s.line, &s.x1, &s.y1, &s.x2, &s.y2, &s.layers), 8);
    if (s.net >= nets || s.class < 0 || s.class >= classes) stop("a pad of no net or class");
    if (s.x1 < 0 || s.y1 < 0 || s.x2 > width || s.y2 > height) stop("a pad beside the board");
    count_all(&s, 1), add(s);
  }
  for (int i = 0; i < tracks + earlier; i++) {
    Shape s = {.found = i >= tracks};
    need(scanf("%d %d %lf %lf %lf %lf", &s.net, &s.layers, &s.x1, &s.y1, &s.x2, &s.y2), 6);
    if (s.net < 0 || s.net >= nets) stop("a track of no net");
    s.class = class_of[s.net], s.line = line_of[s.net], s.half = s.layers == 3 ? via_radius[s.class] : half_width[s.class];
    count_all(&s, 1), add(s);
  }
  for (int i = 0; i < planes; i++) {
    Plane *p = &plane_of[i];
    need(scanf("%d %lf %lf %lf %lf", &p->net, &p->x1, &p->y1, &p->x2, &p->y2), 5);
    if (p->net < 0 || p->net >= nets) stop("a plane of no net");
    for (int c = 0; c < classes; c++) {
      double d = distance[c][class_of[p->net]] + 0.01;
      Shape s = {-1, 0, 0, 3, 0, p->x1, p->y1, p->x2, p->y2, 0};
      for (int m = 0; m < 3 && d > THROUGH_LAYERS; m++) count(hard[c][m], &s, d + (m == 2 ? via_radius[c] : half_width[c]), 1);
    }
  }
  for (int i = 0; i < holes; i++) {
    double x, y, r;
    need(scanf("%lf %lf %lf", &x, &y, &r), 3);
    keep_off(x, y, x, y, r, EDGE);
  }
  keep_off(0, -9, width, 0, 0, EDGE), keep_off(0, height, width, height + 9, 0, EDGE);
  keep_off(-9, 0, 0, height, 0, EDGE), keep_off(width, 0, width + 9, height, 0, EDGE);
}

static double from_pad(const Shape *a, const Shape *b) { /* distance of a track from a pad that it may pass or cross */
  double least = apart(a, b), xs[2] = {b->x1, b->x2}, ys[2] = {b->y1, b->y2};
  if (a->half == 0 || b->half > 0) return least;
  for (int i = 0; i < 4; i++) least = fmin(least, away(a, xs[i & 1], ys[i >> 1]));
  for (int i = 0; i < 2; i++) {
    Shape across = {0, 0, 0, 3, 0, b->x1, ys[i], b->x2, ys[1 - i], 1};
    if (side(a, across.x1, across.y1) * side(a, across.x2, across.y2) < 0 && side(&across, a->x1, a->y1) * side(&across, a->x2, a->y2) < 0)
      least = -a->half;
  }
  return least;
}

static double beside(double low, double high, double other_low, double other_high) { return fmax(low - other_high, other_low - high); }
static int far_off(const Shape *a, const Shape *b, double d) { /* quick test by their bounding boxes */
  double reach = d + a->half + b->half;
  return beside(fmin(a->x1, a->x2), fmax(a->x1, a->x2), fmin(b->x1, b->x2), fmax(b->x1, b->x2)) >= reach ||
         beside(fmin(a->y1, a->y2), fmax(a->y1, a->y2), fmin(b->y1, b->y2), fmax(b->y1, b->y2)) >= reach;
}

static int in_own_pad(const Shape *a, const Shape *b) {
  return a->layers == 3 && a->half > 0 && b->half == 0 && a->net == b->net && apart(a, b) < FROM_PAD - NEAR;
}

static void drop_what_is_too_near(void) { /* of an earlier run, where a part has moved since */
  for (int i = 0; i < shapes; i++) {
    const Shape *a = &shape_of[i];
    if (!a->found) continue;
    for (int j = 0; j < shapes && a->net >= 0; j++) {
      const Shape *b = &shape_of[j];
      if (!in_own_pad(a, b) &&
          (b->net == a->net || b->net == -2 || !meet(a, b) || far_off(a, b, asked(a, b)) || from_pad(a, b) >= asked(a, b) - NEAR))
        continue;
      if (has_plane(a->net)) take_up_from(i);
      else take_up(a->net);
    }
  }
}

static double longest(int net) { /* routing order: other classes, planes, then short nets first */
  double x1 = 1e9, x2 = -1e9, y1 = 1e9, y2 = -1e9;
  for (int i = 0; i < shapes; i++)
    if (shape_of[i].net == net) x1 = fmin(x1, shape_of[i].x1), x2 = fmax(x2, shape_of[i].x2), y1 = fmin(y1, shape_of[i].y1), y2 = fmax(y2, shape_of[i].y2);
  return x2 - x1 + y2 - y1 - (half_width[class_of[net]] > 0.11 ? 2000 : has_plane(net) ? 1000 : 0);
}

static double length_of[NETS];
static int by_length(const void *a, const void *b) {
  int i = *(const int *)a, j = *(const int *)b;
  return length_of[i] < length_of[j] ? -1 : length_of[i] > length_of[j] ? 1 : i - j;
}

int main(void) {
  read_all();
  drop_what_is_too_near();
  way = get(2 * size, 1), goal = get(2 * size, 1), history = get(2 * size, 1);
  cost = get(2 * size, sizeof(int)), touched = get(2 * size, sizeof(int));
  for (int i = 0; i < 2 * size; i++) cost[i] = FAR;
  for (int i = 0; i < nets; i++) length_of[i] = longest(i), ask(i);
  qsort(queue, nets, sizeof(int), by_length);
  int open = 0, given_up[NETS], many = 0, done = 0;
  while (queued && work < MOST_WORK) {
    int net = queue[0], price = PRICE * (1 + tries[net]++);
    memmove(queue, queue + 1, --queued * sizeof(int)), waits[net] = 0;
    if (route(net, price > MOST_PRICE ? MOST_PRICE : price)) given_up[many < NETS ? many++ : 0] = net;
    if (++done % 100 == 0) fprintf(stderr, "%d routed, %d waiting, %.1f G cells\n", done, queued, work / 1e9);
  }
  for (int i = 0; i < many; i++) ask(given_up[i]);
  for (int i = 0; i < queued; i++) {
    int failed = route(queue[i], 0);
    open += failed;
    if (failed) fprintf(stderr, "net %d: %d open\n", queue[i], failed);
  }
  for (int i = 0; i < shapes; i++) {
    const Shape *s = &shape_of[i];
    if (s->found && s->net >= 0) printf("%d %d %.4f %.4f %.4f %.4f\n", s->net, s->layers, s->x1, s->y1, s->x2, s->y2);
  }
  printf("open %d\n", open);
  return 0;
}
