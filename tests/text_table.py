"""A table whose signal is what its text is about: few rows share a word, so counting words learns little."""

import numpy as np
import pandas as pd

THEMES = {
    1.0: """
        bread butter cheese soup oven recipe dough pepper garlic salad pasta sauce flour sugar
        omelette stew pancake vanilla cinnamon noodle dumpling biscuit lasagne broth mustard yoghurt
        risotto waffle pastry curry
    """,
    2.0: """
        football goalkeeper striker referee stadium tennis racket marathon sprint hurdle swimmer
        cyclist hockey tournament medal coach wrestling javelin rowing basketball volleyball
        handball fencing judo skiing batting midfielder offside penalty champion
    """,
    3.0: """
        violin piano orchestra symphony guitar drummer melody choir soprano concerto trumpet
        saxophone banjo chord rhythm sonata clarinet cello opera ballad harpsichord flute organist
        quartet tenor conductor anthem lullaby fugue percussion
    """,
    4.0: """
        planet galaxy telescope comet orbit nebula astronaut asteroid gravity meteor eclipse
        satellite rocket lunar supernova quasar cosmos spacecraft constellation pulsar starlight
        exoplanet observatory jupiter saturn neptune venus mars solar stellar
    """,
    5.0: """
        surgeon hospital vaccine fever antibiotic diagnosis patient nurse clinic symptom infection
        anaesthetic physician therapy bandage ambulance cardiology pneumonia fracture prescription
        tumour dialysis asthma migraine insulin stethoscope transplant allergy bronchitis paramedic
    """,
}
FRAMES = (
    "we talked about the {}",
    "mostly of {}, I think",
    "she wrote to me about {}",
    "this page is on {}, as before",
)


def text_table(n: int = 240, *, seed: int = 0, noise: float = 0.3) -> pd.DataFrame:
    """``note`` (free text), ``length`` and ``day`` (without meaning), and ``y``: the theme and noise."""
    rng = np.random.default_rng(seed)
    values = rng.choice(list(THEMES), size=n)
    words = [rng.choice(THEMES[v].split()) for v in values]
    notes = [str(rng.choice(FRAMES)).format(word) for word in words]
    return pd.DataFrame({
        "note": notes, "length": rng.integers(1, 100, n), "day": rng.choice(["mon", "tue", "wed"], n),
        "y": values + noise * rng.normal(size=n),
    })  # fmt: skip
