"""How often drift is told where nothing was changed, and how often where something was: python experiments/drift.py.

Bitbrains machines in GYMJAX_DATA, or the generated panel. The profile is of the train rows; val and test rows come
after them and are as they were, or multiplied.
"""

import os
from pathlib import Path

import numpy as np

from gym_jax.config.load import load_config
from gym_jax.data.split import split_panel
from gym_jax.evaluate.drift import USUAL, compare, make_profile
from gym_jax.run.assemble import load_panel
from gym_jax.run.drift import rows_of

FILES = ("bitbrains_24vms_30d.csv.gz", "bitbrains_rnd_200vms.parquet")
FACTORS = (1.0, 1.5, 2.0, 0.5)


def main():
    settings = {"generated": ["data.synthetic.series=24", "data.synthetic.days=28"]}
    for name in FILES if "GYMJAX_DATA" in os.environ else ():
        path = Path(os.environ["GYMJAX_DATA"]) / "bitbrains" / name
        settings[name] = [f"data.path={path}", "data.target=[cpu_cores]"]
    print(f"{'':30} {'part':5} " + " ".join(f"{f'x{factor:g}':>7}" for factor in FACTORS) + f"  above {USUAL}")
    for name, words in settings.items():
        config = load_config([], words, {})
        panel = load_panel(config)
        split = split_panel(panel, config.data.split, empty="keep")
        profile = make_profile(rows_of(panel, *split.train), panel.channels)
        for part in ("val", "test"):
            rows = rows_of(panel, *getattr(split, part))
            found = [compare(profile, rows._replace(values=rows.values * factor)) for factor in FACTORS]
            shares = " ".join(f"{one['series']['share']:7.1%}" for one in found)
            fixed = np.mean([one["distance"] > USUAL for one in found[0]["rows"] if one["distance"] is not None])
            print(f"{name:30} {part:5} {shares}  {fixed:.1%}")


if __name__ == "__main__":
    main()
