"""TANDEM, the paper's Algorithm 1, on language models; the loop itself is `tandem_engine.loop`."""

from tandem_engine.contracts.spec import JobSpec
from tandem_engine.loop import LoopSettings, TwinLoop
from tandem_engine.methods.protocol import MethodSetup
from tandem_engine.training import adamw_settings, training_schedule


def build(setup: MethodSetup) -> TwinLoop:
    """Return a run of Algorithm 1."""
    return TwinLoop(
        objective=setup.objective,
        settings=_loop_settings(setup.spec),
        mixture_step=setup.mixture_step,
        alpha_M=setup.start_M,
    )


def _loop_settings(spec: JobSpec) -> LoopSettings:
    learning, training = spec.learning, spec.training
    reference_rate = learning.reference_learning_rate or training.learning_rate
    return LoopSettings(
        probing_steps=learning.probing_steps,
        free_steps=learning.free_steps,
        penalty=learning.penalty,
        validation_reduction=learning.validation_reduction,
        proxy=adamw_settings(training, learning_rate=training.learning_rate),
        reference=adamw_settings(training, learning_rate=reference_rate),
        schedule=training_schedule(training, learning.episodes * learning.episode_steps),
        reference_moments=learning.reference_moments,
        synchronise=learning.synchronise,
        gradient_cosine_every=learning.gradient_cosine_every,
    )
