"""Optimiser and learning rate of every model, as the specification has them."""

from tandem_engine.contracts.training import TrainingSpec
from tandem_engine.schedules import Schedule
from tandem_engine.twins import OptimiserSettings


def training_schedule(training: TrainingSpec, total_steps: int) -> Schedule:
    """Return the learning rate over `total_steps` steps."""
    return Schedule(
        kind=training.schedule,
        total_steps=total_steps,
        warmup_steps=round(training.warmup_fraction * total_steps),
        final_fraction=training.final_rate_fraction,
    )


def adamw_settings(training: TrainingSpec, *, learning_rate: float) -> OptimiserSettings:
    """Return AdamW's values from the specification."""
    return OptimiserSettings(
        kind="adamw",
        learning_rate=learning_rate,
        weight_decay=training.weight_decay,
        betas=(training.beta1, training.beta2),
        gradient_clip=training.gradient_clip,
    )
