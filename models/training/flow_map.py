"""Recipe: Flow-Omni's field learns to take one step where it took many, from itself."""

import dataclasses

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.checkpoint import load_model
from models.predictors.flow_omni import FlowOmni, FlowOmniConfig, VectorField
from models.training.flow_omni import latent_dialogues
from models.training.job import Job
from models.training.loop import device, train
from models.training.warm_start import FURTHER

_EULER_STEPS = 8  # of the teacher
# Spans a step may have, as (from, to) in eighths of the way; the whole way most often.
_SPANS = ((0, 8), (0, 8), (0, 8), (0, 4), (4, 8), (0, 2), (2, 4), (4, 6), (6, 8))
STUDENT_STEPS = 1
_TEACHER = "flow-omni-teacher"


def distill_flow_omni(job: Job) -> None:
    """Turns the Flow-Omni in `out` into one whose frame takes one or two steps.

    Only the field is trained; it is told how long a step is, and learns where its own steps from
    there lead (the flow map of arXiv 2505.18825, section 3, with the teacher's path instead of a
    derivative along the student's). The teacher is kept as `flow-omni-teacher` in `work`.

    Raises:
        MissingModelError: there is no Flow-Omni in `out`.
    """
    teacher = load_model(job.out, FlowOmni.name, FlowOmni, FlowOmniConfig)
    if teacher.config.flow_map:  # distilled before: again from where it came
        teacher = load_model(job.work, _TEACHER, FlowOmni, FlowOmniConfig)
    else:
        kept = dataclasses.replace(job, out=job.work)
        kept.save(_TEACHER, teacher, teacher.config, int8=True)
    student = student_of(teacher)
    dialogues, _ = latent_dialogues(job, FURTHER.num_positions)
    teacher.to(device())

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        with torch.no_grad():
            rows = teacher.read(dialogues.draw(generator, teacher.config))
            conditions, _ = teacher.conditions(teacher(rows.embedded), rows)
        return {"total": flow_map_loss(teacher.field, student.field, conditions)}

    run = job.run("flow-omni-distilled", 1e-3)
    train(run, student, draw)
    job.save(FlowOmni.name, student, student.config, int8=True)


def student_of(teacher: FlowOmni) -> FlowOmni:
    """A Flow-Omni that draws as `teacher` does and whose field alone is to be trained."""
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


def flow_map_loss(teacher: VectorField, student: VectorField, conditions: Tensor) -> Tensor:
    """How far the student's step is from where the teacher's steps lead, a mean squared error of
    velocities; from noise of all temperatures, at conditions `[N, dim]`."""
    count, size = len(conditions), teacher.leave.out_features
    where = conditions.device
    with torch.no_grad():
        deviation = torch.rand(count, 1, device=where).sqrt()  # temperature is drawn evenly
        path = [deviation * torch.randn(count, size, device=where)]
        for step in range(_EULER_STEPS):
            time = torch.full((count,), step / _EULER_STEPS, device=where)
            path.append(path[-1] + teacher(path[-1], time, conditions) / _EULER_STEPS)
        whole = torch.stack(path)
        spans = torch.tensor(_SPANS, device=where)[torch.randint(len(_SPANS), (count,))]
        start, end = spans.unbind(-1)
        every = torch.arange(count, device=where)
        begin, goal = whole[start, every], whole[end, every]
        length = (end - start) / _EULER_STEPS
        velocity = (goal - begin) / length[:, None]
    told = student(begin, start / _EULER_STEPS, conditions, length)
    return F.mse_loss(told, velocity)
