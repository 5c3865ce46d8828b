"""Distilling the flow: one step of the student replaces many of the teacher's."""

import pytest
import torch

from models.predictors.flow_omni import FlowOmni
from models.predictors.sampling import SamplingOptions
from models.predictors.steps import FrameCondition
from models.training.flow_map import flow_map_loss, student_of
from tests.models.predictors.steps import drawn_alone
from tests.tiny import tiny


@pytest.fixture
def teacher() -> FlowOmni:
    return tiny("flow-omni").eval()


def silent(model: FlowOmni, count: int) -> FrameCondition:
    """Conditioning of frames outside any text."""
    nothing = torch.zeros(count, model.config.dim)
    return FrameCondition(nothing, nothing, torch.zeros(count, 8, dtype=torch.long))


def drawn(model: FlowOmni, hidden: torch.Tensor, steps: int) -> torch.Tensor:
    condition = silent(model, 1)[0]
    options = SamplingOptions(temperature=0.5, flow_steps=steps)
    generator = torch.Generator().manual_seed(3)
    return torch.stack([drawn_alone(model, h, condition, options, generator, []) for h in hidden])


def test_a_student_starts_as_its_teacher(teacher: FlowOmni) -> None:
    student = student_of(teacher)
    hidden = torch.randn(5, teacher.config.dim)
    torch.testing.assert_close(drawn(student, hidden, 4), drawn(teacher, hidden, 4))
    trained = [name for name, p in student.named_parameters() if p.requires_grad]
    assert trained and all(name.startswith("field.") for name in trained)


def test_a_student_learns_a_single_step(teacher: FlowOmni) -> None:
    """With one step, training brings the student close to its teacher's latents."""
    torch.manual_seed(0)
    student = student_of(teacher)
    hidden = torch.randn(64, teacher.config.dim)
    goal = drawn(teacher, hidden, 8)
    before = (drawn(student, hidden, 1) - goal).square().mean()
    recent = torch.zeros(len(hidden), teacher.context.recent.in_features)
    conditions = teacher.short_context(recent, silent(teacher, len(hidden)), hidden)
    optimizer = torch.optim.Adam(student.field.parameters(), 5e-3)
    for _ in range(300):
        loss = flow_map_loss(teacher.field, student.field, conditions, 8)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = (drawn(student, hidden, 1) - goal).square().mean()
    assert after < 0.3 * before
    assert (drawn(student, hidden, 2) - goal).square().mean() < 0.3 * before
