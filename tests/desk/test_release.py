# SPDX-License-Identifier: Apache-2.0
"""A release from the request to the played recording, with stock tools wherever there are any."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np

import sealing_rig
from linetap_core.codecs import g711
from release_rig import ID, KIM, PARK, Desk
from sealing_rig import CALL_ID, noise


def test_from_request_to_the_requesters_ears(desk: Desk, call: Path) -> None:
    request = desk.approved(call)
    inner = desk.unwrap(call, request)
    for alone in (desk.rig.custodian_files[0], desk.rig.epoch_file, desk.root / "requester.txt"):
        assert sealing_rig.run(["age", "-d", "-i", str(alone), str(inner)]).returncode == 1
    opened = desk.open(call, inner, "call.wav.age", "--for", desk.requester.recipient, "--request", request)
    for path in desk.root.iterdir():
        assert path.suffix != ".wav"
        assert path.name != "call.json"
    wav = desk.root / "heard.wav"
    wav.write_bytes(stock_open(desk, opened))
    with wave.open(str(wav), "rb") as heard:
        assert (heard.getframerate(), heard.getnchannels(), heard.getnframes()) == (8000, 1, 20_000)
        assert heard.readframes(20_000) == g711.decode(np.frombuffer(noise(20_000), np.uint8)).tobytes()
    whole = json.loads(stock_open(desk, desk.root / "call.json.age"))
    assert whole["caller"]["number"] == "01012345678"
    assert "unreleased" not in whole
    desk.release("close", ID, "--key", desk.one_time_file())
    assert not desk.one_time_file().exists()
    words = ["roles", "key", "request", "approve", "approve", "unwrap", "open", "close"]
    assert desk.steps() == [(word, "granted", "") for word in words]


def stock_open(desk: Desk, path: Path) -> bytes:
    done = sealing_rig.run(["age", "-d", "-i", str(desk.root / "requester.txt"), str(path)])
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_inner_layer_opens_with_stock_age_alone(desk: Desk, call: Path) -> None:
    inner = desk.unwrap(call, desk.approved(call))
    recipe = f"age -d -i {desk.one_time_file()} {inner} | age -d -i {desk.rig.custodian_files[1]}"
    assert sealing_rig.run(["sh", "-c", recipe]).stdout.count(b"AGE-SECRET-KEY-1") == 1


def test_clear_wav_where_it_is_asked_for(desk: Desk, call: Path) -> None:
    opened = desk.open(call, desk.unwrap(call, desk.approved(call)), "call.wav")
    assert opened.read_bytes()[:4] == b"RIFF"
    assert "unreleased" not in json.loads((desk.root / "call.json").read_bytes())
    assert desk.log()[-1].request == ID  # the one-time key names its request


def test_approved_with_ssh_keygen_alone(desk: Desk, call: Path) -> None:
    request = desk.ask(call)
    desk.stock_sign(request, KIM, request.with_name(f"{request.name}.sig"))
    desk.stock_sign(request, PARK, request.with_name(f"{request.name}.second.sig"))
    assert desk.unwrap(call, request).exists()
    assert desk.log()[-1].approvers == sorted([KIM, PARK])


def test_ssh_keygen_takes_our_approvals(desk: Desk, call: Path) -> None:
    request = desk.approved(call)
    signers = desk.root / "approvers"
    signers.write_text(f"park {(desk.root / f'{PARK}.pub').read_text()}")
    words = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", "park", "-n", "linetap-release", "-s"]
    signature = request.with_name(f"{request.name}.legal.sig")
    assert sealing_rig.run([*words, str(signature)], stdin=request.read_bytes()).returncode == 0
    assert sealing_rig.run([*words, str(signature)], stdin=request.read_bytes()[1:]).returncode != 0


def test_show_says_step_by_step(desk: Desk, call: Path) -> None:
    request = desk.ask(call)
    assert desk.run_show(request)[0] == 1
    assert "MISSING  request 2026-0042: approved by no one" in desk.run_show(request)[1]
    desk.approve(request, KIM)
    assert f"ok       approval: {ID}.json.privacy.sig: {KIM} (privacy)" in desk.run_show(request)[1]
    assert f"MISSING  request 2026-0042: approved by {KIM} (privacy); it takes two" in desk.run_show(request)[1]
    desk.stock_sign(request, "stranger", request.with_name(f"{request.name}.x.sig"))
    assert "void     approval: 2026-0042.json.x.sig: the key that signed" in desk.run_show(request)[1]
    desk.approve(request, PARK)
    status, text = desk.run_show(request)
    assert status == 0
    assert f"ok       not yet given out: {CALL_ID}" in text
    desk.unwrap(call, request)
    status, text = desk.run_show(request)
    assert status == 1
    assert "was used for" in text
