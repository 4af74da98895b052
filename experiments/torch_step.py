"""The peer of `step_against_torch.py`: an IR network with a CosFace head in PyTorch, trained and served on
the CPU.

For the Python of an environment with `torch_requirements.txt`; it imports nothing of this project. It takes
the same JSON as `python -m urfr_tf.bench.step_point` and prints seconds in the same form. The network is that
of `urfr_tf/models/ir.py`, layer for layer; memory is in channels-last order and bfloat16 is autocast's, which
are PyTorch's fastest on processors.
"""

import json
import sys
import time

import torch
from torch import nn

BLOCKS = {"ir18": (2, 2, 2, 2), "ir50": (3, 4, 14, 3), "ir100": (3, 13, 30, 3)}
CHANNELS = (64, 128, 256, 512)
CLASSES, WIDTH, SCALE, MARGIN = 1000, 512, 64.0, 0.35


class Unit(nn.Module):
    """BN - conv - BN - PReLU - conv - BN, with the stride in the second convolution."""

    def __init__(self, before, channels, stride):
        super().__init__()
        self.branch = nn.Sequential(
            nn.BatchNorm2d(before),
            nn.Conv2d(before, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.PReLU(channels),
            nn.Conv2d(channels, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.shortcut = nn.Identity()
        if stride != 1 or before != channels:
            convolution = nn.Conv2d(before, channels, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(channels))

    def forward(self, x):
        """[B, before, H, W] -> [B, channels, H / stride, W / stride]."""
        return self.branch(x) + self.shortcut(x)


class Network(nn.Module):
    """float32 [B, 3, S, S] in 0..255 -> embedding [B, 512] of norm 1; `prototypes` next to it."""

    def __init__(self, backbone, size):
        super().__init__()
        layers = [
            nn.Conv2d(3, CHANNELS[0], 3, 1, 1, bias=False),
            nn.BatchNorm2d(CHANNELS[0]),
            nn.PReLU(CHANNELS[0]),
        ]
        before = CHANNELS[0]
        for count, channels in zip(BLOCKS[backbone], CHANNELS, strict=True):
            for block in range(count):
                layers.append(Unit(before, channels, 2 if block == 0 else 1))
                before = channels
        side = -(-size // 16)
        self.features = nn.Sequential(*layers, nn.BatchNorm2d(before), nn.Flatten())
        self.dense = nn.Linear(before * side * side, WIDTH, bias=False)
        self.norm = nn.BatchNorm1d(WIDTH)
        self.prototypes = nn.Parameter(torch.randn(CLASSES, WIDTH))

    def forward(self, image):
        """[B, 3, S, S] -> [B, 512]; the head is in float32 as ours is."""
        features = self.features((image - 127.5) / 128)
        with torch.autocast("cpu", enabled=False):
            return nn.functional.normalize(self.norm(self.dense(features.float())))

    def loss(self, image, label):
        """CosFace."""
        cosine = self(image) @ nn.functional.normalize(self.prototypes).T
        return nn.functional.cross_entropy(
            SCALE * (cosine - MARGIN * nn.functional.one_hot(label, CLASSES)), label
        )


def measure(job):
    """Seconds of each round, by the clock and of the processors."""
    half = torch.autocast("cpu", torch.bfloat16, enabled=job["precision"] == "mixed_bfloat16")
    model = Network(job["backbone"], job["size"]).to(memory_format=torch.channels_last)
    image = torch.rand(job["batch"], 3, job["size"], job["size"]) * 255
    image = image.to(memory_format=torch.channels_last)
    label = torch.randint(0, CLASSES, (job["batch"],))
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)

    def train():
        optimizer.zero_grad(set_to_none=True)
        with half:
            loss = model.loss(image, label)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        return loss.item()

    def infer():
        model.eval()
        with torch.inference_mode(), half:
            embedding = model(image)
        model.train()
        return embedding[0, 0].item()

    works = {"train": train, "inference": infer}
    seconds = {name: [] for name in works}
    processor = {name: [] for name in works}
    for work in works.values():
        work()
        work()
    for _ in range(job["rounds"]):
        for name, work in works.items():
            start, used = time.perf_counter(), time.process_time()
            work()
            seconds[name].append(time.perf_counter() - start)
            processor[name].append(time.process_time() - used)
    return {
        "seconds": seconds,
        "processor_seconds": processor,
        "parameters": sum(p.numel() for p in model.parameters()),
    }


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))))
