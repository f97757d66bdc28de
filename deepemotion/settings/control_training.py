"""How a control is trained: with settings of its own, whatever those of the brain's trial are."""

from deepemotion.errors import UserError
from deepemotion.settings.schema import (
    AlignSettings,
    AugmentSettings,
    ControlName,
    ModelSettings,
    TrainSettings,
    TrialSettings,
)

# By model, chosen on the audio description's loudness and the real observers' labels, with one run left out: the linear
# model is where scikit-learn's regression is, the perceptron stops before it fits the training volumes much better.
CONTROL_TRAINING = {
    "linear": TrainSettings(epochs=30, learning_rate=0.05, batch_size=64, weight_decay=7e-4, precision="float32"),
    "mlp": TrainSettings(epochs=15, learning_rate=2e-3, batch_size=64, weight_decay=1.0, precision="float32"),
}


def control_settings(settings: TrialSettings, control: ControlName, model: str) -> TrialSettings:
    """Return the settings of the control's trial that goes with a brain's trial: same volumes, labels and split.

    What is there for the brain alone is replaced: the model, how volumes are prepared, and how it is trained, apart
    from seed, threads and device. So trials of the brain that differ in nothing else share one of the control. Raises
    UserError for a model without settings for controls.
    """
    if model not in CONTROL_TRAINING:
        raise UserError(f"control_model={model}: controls are trained with {' or '.join(CONTROL_TRAINING)}")
    train = settings.train
    of_brain = {"normalisation": "none", "crop": False, "downsample": 1, "control": control, "confounds": ()}
    of_machine = {"seed": train.seed, "threads": train.threads, "device": train.device}
    return TrialSettings(
        data=settings.data.model_copy(update=of_brain),
        split=settings.split,
        model=ModelSettings(name=model),
        train=CONTROL_TRAINING[model].model_copy(update=of_machine),
        augment=AugmentSettings(),
        align=AlignSettings(),
    )
