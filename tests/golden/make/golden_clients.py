"""Several clients that train one cut model in rounds, with one optimiser kept for each part."""
import copy

import torch
import torch.nn.functional as F
from timm.models import VisionTransformer

from golden_common import Bag, Draw
from golden_models import drawn_model

SMALL = dict(img_size=16, patch_size=8, embed_dim=16, depth=3, num_heads=2, num_classes=5)
CUT = 1  # blocks of a client
ROUNDS = 2
BATCH = (4, 2, 3)  # images in a step of each client
STEPS = (2, 1, 1)  # of each client in a round


class Half:
    """The parameters of one side of the cut, taken from a whole model, with an optimiser of their own."""

    def __init__(self, model, at_server, lr):
        self.model = copy.deepcopy(model)
        self.names = [n for n, _ in model.named_parameters() if belongs_to_server(n) == at_server]
        self.opt = torch.optim.Adam(self.weights().values(), lr=lr, betas=(0.9, 0.999), eps=1e-8, foreach=False)

    def weights(self):
        all_of_model = dict(self.model.named_parameters())
        return {n: all_of_model[n] for n in self.names}


def belongs_to_server(name):
    if name.startswith("blocks."):
        return int(name.split(".")[1]) >= CUT
    return name.startswith(("norm.", "head."))


def step(client, server, images, labels):
    client.opt.zero_grad(set_to_none=True)
    server.opt.zero_grad(set_to_none=True)
    m, s = client.model, server.model
    h = m._pos_embed(m.patch_embed(images))
    for block in list(m.blocks)[:CUT] + list(s.blocks)[CUT:]:
        h = block(h)
    loss = F.cross_entropy(s.forward_head(s.norm(h)), labels)
    loss.backward()
    client.opt.step()
    server.opt.step()
    return loss.item()


def average(halves, samples):
    """Gives all halves the mean of their weights, each as often as it has samples."""
    total = sum(samples)
    with torch.no_grad():
        for name in halves[0].names:
            mean = sum(n / total * h.weights()[name] for h, n in zip(halves, samples))
            for h in halves:
                h.weights()[name].copy_(mean)


def train(mode, start, images, labels, lr):
    """Returns the joined model after all rounds, and the losses of each client."""
    count = len(BATCH)
    clients = [Half(start, False, lr) for _ in range(count)]
    servers = [Half(start, True, lr) for _ in range(count if mode == "averaged" else 1)]
    losses = [[] for _ in range(count)]

    def take(i):
        t = len(losses[i])
        losses[i].append(step(clients[i], servers[i % len(servers)], images[i][t], labels[i][t]))

    for _ in range(ROUNDS):
        if mode == "relay":
            for i in range(count):
                for _ in range(STEPS[i]):
                    take(i)
                average(clients, [float(j == i) for j in range(count)])  # hands its weights on
            continue
        for t in range(max(STEPS)):
            for i in range(count):
                if t < STEPS[i]:
                    take(i)
        samples = [STEPS[i] * BATCH[i] for i in range(count)]
        average(clients, samples)
        if mode == "averaged":
            average(servers, samples)
    after = {**clients[0].weights(), **servers[0].weights()}
    return {n: w.detach() for n, w in after.items()}, losses


def build():
    """Weights and losses of three modes in float64, and how far float32 is from them."""
    seed, lr = 31, 5e-4
    bag = Bag(content="three clients and a server, two rounds: shared, averaged and relay")
    bag.put("shape", **SMALL)
    d = Draw(seed)
    side = SMALL["img_size"]
    images = [d.normal(ROUNDS * s, b, 3, side, side) for b, s in zip(BATCH, STEPS)]
    labels = [d.integers(SMALL["num_classes"], ROUNDS * s, b) for b, s in zip(BATCH, STEPS)]
    start = drawn_model(SMALL, seed + 1)
    bag.put("", cut=CUT, rounds=ROUNDS, steps=list(STEPS), lr=lr, beta1=0.9, beta2=0.999, eps=1e-8)
    for i in range(len(BATCH)):
        bag.put(f"client.{i + 1}", images=images[i].float(), labels=labels[i])
    for k, v in start.state_dict().items():
        bag.put("param", **{k: v.float()})
    start32 = VisionTransformer(**SMALL)
    start32.load_state_dict({k: v.float() for k, v in start.state_dict().items()})
    for mode in ("shared", "averaged", "relay"):
        after, losses = train(mode, start, images, labels, lr)
        after32, _ = train(mode, start32, [x.float() for x in images], labels, lr)
        for k, v in after.items():
            bag.put(f"f64/{mode}/after", **{k: v})
            bag.put(f"f32/{mode}/maxdiff", **{k: float((v - after32[k].double()).abs().max())})
        for i, of_client in enumerate(losses):
            bag.put(f"f64/{mode}", **{f"loss.{i + 1}": of_client})
    return bag
