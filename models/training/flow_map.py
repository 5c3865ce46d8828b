"""Recipe: distils Flow-Omni's vector field to fewer steps."""

import dataclasses

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.checkpoint import load_model
from models.predictors.flow_omni import FlowOmni, FlowOmniConfig, VectorField
from models.training.configuration import check_sizes
from models.training.flow_omni import FlowOmniRecipe, latent_dialogues
from models.training.job import Job
from models.training.loop import device, train

# Spans of a step as (from, to) in quarters of the path; the full path most often.
_SPANS = ((0, 4), (0, 4), (0, 4), (0, 2), (2, 4), (0, 1), (1, 2), (2, 3), (3, 4))
STUDENT_STEPS = 1
_TEACHER = "flow-omni-teacher"


def distill_flow_omni(job: Job, recipe: FlowOmniRecipe) -> FlowOmniRecipe:
    """Distils the Flow-Omni in `out` to one or two steps per frame; returns the recipe as made.

    Only the vector field is trained. Conditioned on the step length, it learns where the teacher's
    steps lead (the flow map of arXiv 2505.18825, section 3, with the teacher's path instead of a
    derivative along the student's). The teacher is kept as `flow-omni-teacher` in `work`.

    Raises:
        MissingModelError: `out` has no Flow-Omni.
    """
    teacher = load_model(job.out, FlowOmni.name, FlowOmni, FlowOmniConfig)
    if teacher.config.flow_map:  # distilled before: use its teacher
        teacher = load_model(job.work, _TEACHER, FlowOmni, FlowOmniConfig)
    else:
        kept = dataclasses.replace(job, out=job.work)
        kept.save(_TEACHER, teacher, teacher.config, int8=True)
    check_sizes(recipe, teacher.config, FlowOmni.name)
    student = student_of(teacher)
    how = recipe.distillation
    dialogues, _ = latent_dialogues(job, recipe, how.batch)
    teacher.to(device())

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        with torch.no_grad():
            rows = teacher.read(dialogues.draw(generator, teacher))
            conditions, _ = teacher.contexts(teacher(rows.embedded), rows)
        loss = flow_map_loss(teacher.field, student.field, conditions, how.teacher_steps)
        return {"total": loss}

    train(job.run("flow-omni-distilled", how), student, draw)
    job.save(FlowOmni.name, student, student.config, int8=True)
    return dataclasses.replace(recipe, model=student.config)


def student_of(teacher: FlowOmni) -> FlowOmni:
    """A copy of `teacher` whose field alone is trainable."""
    config = dataclasses.replace(teacher.config, flow_map=True, steps=STUDENT_STEPS)
    student = FlowOmni(config)
    missing, unexpected = student.load_state_dict(teacher.state_dict(), strict=False)
    assert not unexpected and all(key.startswith("field.span.") for key in missing)
    assert student.field.span is not None
    nn.init.zeros_(student.field.span.weight)
    nn.init.zeros_(student.field.span.bias)
    student.requires_grad_(False)
    student.field.requires_grad_(True)
    return student.eval()


def flow_map_loss(
    teacher: VectorField, student: VectorField, conditions: Tensor, teacher_steps: int
) -> Tensor:
    """Mean squared error between the velocity of the student's step and the mean velocity of the
    teacher's `teacher_steps` over the same span; noise of all temperatures, conditions `[N,
    dim]`."""
    count, size = len(conditions), teacher.leave.out_features
    where = conditions.device
    with torch.no_grad():
        deviation = torch.rand(count, 1, device=where).sqrt()  # uniform temperature
        path = [deviation * torch.randn(count, size, device=where)]
        for step in range(teacher_steps):
            time = torch.full((count,), step / teacher_steps, device=where)
            path.append(path[-1] + teacher(path[-1], time, conditions) / teacher_steps)
        whole = torch.stack(path)
        spans = torch.tensor(_SPANS, device=where) * teacher_steps // 4
        start, end = spans[torch.randint(len(_SPANS), (count,))].unbind(-1)
        every = torch.arange(count, device=where)
        begin, goal = whole[start, every], whole[end, every]
        length = (end - start) / teacher_steps
        velocity = (goal - begin) / length[:, None]
    predicted = student(begin, start / teacher_steps, conditions, length)
    return F.mse_loss(predicted, velocity)
