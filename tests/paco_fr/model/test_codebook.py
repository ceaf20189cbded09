from __future__ import annotations

import numpy as np
import pytest
import torch

from paco_fr.config import CodebookConfig
from paco_fr.model.codebook import Codebook, own_products, perplexity
from paco_fr.utils.errors import PacoError


def everywhere(pictures: int, cells: int = 4) -> torch.Tensor:
    return torch.arange(cells).expand(pictures, -1)


def book(cells=4, values=6, tokens=5, **settings) -> Codebook:
    torch.manual_seed(0)
    return Codebook(cells, values, CodebookConfig(tokens=tokens, candidates=2, **settings))


def test_assign_finds_the_nearest_token_of_the_same_place():
    codebook = book()
    patches = torch.randn(7, 4, 6)
    slow = torch.cdist(patches.transpose(0, 1), codebook.tokens.detach()).argmin(-1).T
    assert (codebook.assign(patches) == slow).all()


def test_products_are_those_with_the_codebook_of_each_place():
    tokens = book().tokens.detach()
    cells = torch.tensor([[0, 2], [1, 3], [3, 2]])
    weights = torch.softmax(torch.randn(3, 2, 5), -1)
    mixed = (tokens[cells] * weights[..., None]).sum(2)
    torch.testing.assert_close(own_products(weights, cells, tokens), mixed)
    vectors = torch.randn(3, 4, 6)
    likeness = (tokens * vectors[:, :, None]).sum(-1)
    torch.testing.assert_close(own_products(vectors, everywhere(3), tokens.mT), likeness)
    torch.testing.assert_close(own_products(vectors, None, tokens.mT), likeness)
    alike = tokens[:1].expand_as(tokens)
    torch.testing.assert_close(
        own_products(vectors, None, tokens[:1].mT), own_products(vectors, None, alike.mT)
    )


def test_products_keep_the_precision_of_the_codebook():
    codebook, vectors = book(), torch.randn(3, 4, 6)
    with torch.autocast("cpu", torch.bfloat16):
        fine = own_products(vectors, None, codebook.tokens.mT)
        coarse = own_products(vectors, None, codebook.tokens.mT.to(torch.bfloat16))
    assert torch.equal(fine, own_products(vectors, None, codebook.tokens.mT))
    assert coarse.dtype == torch.bfloat16


def test_sums_and_counts_equal_a_plain_loop():
    codebook = book()
    patches = torch.randn(9, 4, 6)
    assigned = codebook.assign(patches)
    sums = torch.zeros(4, 5, 6)
    counts = torch.zeros(4, 5)
    for b in range(9):
        for n in range(4):
            sums[n, assigned[b, n]] += patches[b, n]
            counts[n, assigned[b, n]] += 1
    torch.testing.assert_close(codebook.sums(everywhere(len(patches)), assigned, patches), sums)
    torch.testing.assert_close(codebook.counts(everywhere(len(patches)), assigned), counts)


def test_following_its_patches_lowers_the_quantisation_error():
    codebook = book(tokens=3)
    centres = torch.randn(3, 6) * 3
    patches = centres[torch.randint(0, 3, (200, 4))] + 0.1 * torch.randn(200, 4, 6)
    codebook.start_from(patches, np.random.default_rng(0))

    def error() -> float:
        nearest = codebook.tokens[torch.arange(4), codebook.assign(patches)]
        return (nearest - patches).square().mean().item()

    before = error()
    for _ in range(100):
        assigned = codebook.assign(patches)
        codebook.follow(
            codebook.counts(everywhere(len(patches)), assigned),
            codebook.sums(everywhere(len(patches)), assigned, patches),
            0.1,
        )
    assert error() < before


def test_dead_tokens_come_back_as_real_patches_of_their_place():
    codebook = book(revive_below=0.5)
    codebook.usage[1, 3] = 0.0
    patches = torch.randn(10, 4, 6)
    assert codebook.revive(patches, np.random.default_rng(0)) == 1
    distance = (patches[:, 1] - codebook.tokens[1, 3]).abs().sum(-1).min()
    assert distance == 0
    assert codebook.usage[1, 3] == pytest.approx(0.2)


def test_tokens_start_as_different_patches_of_their_place():
    codebook = book()
    patches = torch.randn(20, 4, 6)
    codebook.start_from(patches, np.random.default_rng(0))
    for place in range(4):
        distances = torch.cdist(codebook.tokens[place], patches[:, place])
        assert (distances.min(1).values < 1e-3).all()
        assert len(set(distances.argmin(1).tolist())) == 5


def test_a_shared_codebook_chooses_mixes_and_gathers_for_all_places():
    codebook, patches = book(scope="shared", revive_below=0.5), torch.randn(3, 4, 6)
    codebook.start_from(patches, np.random.default_rng(0))
    (tokens,) = codebook.tokens.detach().clone()
    distances = torch.cdist(tokens, patches.reshape(12, 6))
    assert (distances.min(1).values < 1e-3).all() and len(set(distances.argmin(1).tolist())) == 5
    assigned, sums = codebook.assign(patches), torch.zeros(1, 5, 6)
    for b in range(3):
        for n in range(4):
            assert assigned[b, n] == (tokens - patches[b, n]).square().sum(-1).argmin()
            sums[0, assigned[b, n]] += patches[b, n]
    torch.testing.assert_close(codebook.sums(everywhere(3), assigned, patches), sums)
    only = torch.eye(5)[assigned]  # all weight on one token
    torch.testing.assert_close(own_products(only, everywhere(3), codebook.tokens.detach()), tokens[assigned])
    codebook.usage[0, 3] = 0.0
    others = torch.randn(10, 4, 6)
    assert codebook.revive(others, np.random.default_rng(1)) == 1
    assert (others - codebook.tokens[0, 3]).abs().sum(-1).min() == 0


def test_more_tokens_than_pictures_are_refused():
    with pytest.raises(PacoError, match=r"codebook\.tokens 5 exceed the 4 patches of a codebook"):
        book().start_from(torch.randn(4, 4, 6), np.random.default_rng(0))
    with pytest.raises(PacoError, match="exceed the 4 patches of a codebook"):
        book(scope="shared").start_from(torch.randn(1, 4, 6), np.random.default_rng(0))


def test_perplexity_counts_the_tokens_in_use():
    shares = torch.tensor([[0.25, 0.25, 0.25, 0.25], [1.0, 0.0, 0.0, 0.0]])
    assert perplexity(shares).tolist() == pytest.approx([4.0, 1.0], abs=1e-5)
