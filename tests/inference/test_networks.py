"""Models that are made ready once a process, whoever asks for them."""

from __future__ import annotations

import pickle
import threading
import time

from geoseg.inference import networks
from geoseg.inference.settings import PredictSettings


def test_threads_that_need_models_at_the_same_time_share_them(monkeypatch):
    made = []

    def slowly(*_given, **_more):
        time.sleep(0.1)
        made.append(object())
        return made[-1]

    monkeypatch.setattr(networks, "make_ensemble", slowly)
    sent = networks.Networks([], PredictSettings(), device="cpu", kind="cpu")
    sent.ready()
    arrived = pickle.loads(pickle.dumps(sent))
    found = []
    threads = [threading.Thread(target=lambda: found.append(arrived.ready())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 2  # here, and once there
    assert found == [made[1]] * 4
