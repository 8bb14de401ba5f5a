# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: -all
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
# ---

# %% [markdown]
# # Train with and without the constraints
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/)
#
# The paper's experiment in small. A source has 3D labels: procedural `studio` hands.
# The target, `wild` hands of other proportions, has 2D keypoints only. Do the
# constraints teach depth there? Two models answer: a *lifter*, which gets the true 2D
# keypoints, and a small *network*, which sees images and starts from weights that ship
# with the library. Under five minutes on two CPU cores; a GPU or TPU is used if it is
# there.

# %%
# @title Installation { display-mode: "form" }
# @markdown In Colab: the address of your copy of bmc_jax, as `git clone` takes it.
REPOSITORY = ''  # @param {type:"string"}

import importlib.util
import os
import pathlib
import subprocess
import sys

EXTRA = 'train'
NEEDED = (
  *('bmc_jax', 'PIL', 'absl', 'array_record', 'cv2', 'flatbuffers', 'flax', 'grain'),
  *('importlib_resources', 'matplotlib', 'ml_collections', 'optax', 'orbax'),
  *('safetensors', 'simplejpeg', 'tensorboardX', 'tensorflow_datasets', 'tqdm'),
  'yaml',
)
missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
if missing:
  source = os.environ.get('BMC_JAX_REPOSITORY', REPOSITORY) or '..'
  if pathlib.Path(source, 'pyproject.toml').exists():  # a clone, such as this one
    package = [f'{pathlib.Path(source).resolve()}[{EXTRA}]']
  elif source != '..':
    package = [f'bmc_jax[{EXTRA}] @ git+{source}']
  elif 'bmc_jax' not in missing:  # from where it was installed
    from bmc_jax.console import installation

    package = installation.pip_arguments(EXTRA)
  else:
    package = []
  if not package:
    raise ValueError('Fill in REPOSITORY: the address of your copy of bmc_jax.')
  print('Missing:', ', '.join(missing))
  # Keeps the JAX that a GPU or TPU runtime has.
  subprocess.run([sys.executable, '-m', 'pip', 'install', '-q', *package], check=True)

REDUCED = os.environ.get('BMC_JAX_NOTEBOOKS') == 'reduced'  # for a quick check

# %%
import csv
import json
import time

import jax
import matplotlib.pyplot as plt
from IPython import display

print(jax.devices())

# %% [markdown]
# ## Data
#
# Hands posed inside joint limits and rendered in JAX: no download, no licence. The same
# builder makes them on the command line: `bmc-jax build procedural_hands`.

# %%
from bmc_jax.data_prep.procedural_hands import ProceduralHands

train_hands = 128 if REDUCED else 1500
examples = {'studio_train': train_hands, 'wild_train': train_hands, 'wild_test': 200}
data = pathlib.Path('data').resolve()
ProceduralHands(
  data_dir=str(data), file_format='array_record', examples=examples
).download_and_prepare()
hands = next(data.glob('procedural_hands/*'))
print(sorted(path.name for path in hands.iterdir())[:4], '...')

# %% [markdown]
# ## The experiment is a config
#
# A config is a Python file: the data, the model, and the rows of a table. This one
# takes the quickstart's and makes it shorter.

# %%
config = f"""
from bmc_jax.configs import quickstart


def get_config():
  c = quickstart.get_config()
  for source in (c.data.full, c.data.weak, c.data.test, c.limits.source):
    source.path = {str(hands)!r}
  c.num_steps = {4 if REDUCED else 100}
  c.log_every = {2 if REDUCED else 10}
  for name in ('lifter: source only', 'lifter: + BMC', 'lifter: full 3D'):
    c.rows[name].overrides.num_steps = {20 if REDUCED else 800}
    c.rows[name].overrides.log_every = {5 if REDUCED else 50}
  c.run_rows = (
    'lifter: source only', 'lifter: + BMC', 'lifter: full 3D', '2D only', '+ BMC'
  )
  return c
"""
pathlib.Path('my_config.py').write_text(config)
workdir = pathlib.Path('run')

# %% [markdown]
# ## Train, and watch
#
# Training is the command that you would run in a terminal; the cell reads its logs
# while it works. Run the cell again after an interruption: it goes on where it stopped.


# %%
def read_log(row):
  """Steps and the loss of the relative depth so far."""
  path = workdir / 'rows' / row / 'metrics.csv'
  if not path.exists():
    return [], []
  with path.open(newline='') as file:
    rows = [row for row in csv.DictReader(file) if row.get('train/relative_depth')]
  steps = [int(float(row['step'])) for row in rows]
  return steps, [float(row['train/relative_depth']) for row in rows]


def plot_logs():
  """Loss of the relative depth on the labelled source, and the constraints' loss."""
  figure, axis = plt.subplots(figsize=(7, 3), layout='constrained')
  for folder in sorted(workdir.glob('rows/*')):
    steps, values = read_log(folder.name)
    axis.plot(steps, values, label=folder.name)
  axis.set(xlabel='step', ylabel='depth error on the source\n(reference bones)')
  axis.set_ylim(bottom=0)
  if axis.lines:
    axis.legend(fontsize=8)
  return figure


command = [sys.executable, '-m', 'bmc_jax.main', '--config=my_config.py']
with open('log.txt', 'w') as log:
  training = subprocess.Popen(
    [*command, f'--workdir={workdir}'], stdout=log, stderr=subprocess.STDOUT
  )
  start = time.perf_counter()
  while training.poll() is None:
    time.sleep(5)
    display.clear_output(wait=True)
    display.display(plot_logs())
    plt.close()
    print(f'{time.perf_counter() - start:.0f} s; the output is in log.txt')
if training.returncode:
  raise RuntimeError(pathlib.Path('log.txt').read_text()[-2000:])

# %% [markdown]
# ## The result
#
# `depth_mm` is the error of the depth relative to the wrist on wild hands that were
# never seen.

# %%
results = json.loads((workdir / 'results.json').read_text())
for row, metrics in results.items():
  print(
    f'{row:20} depth {metrics["depth_mm"]:5.1f} mm, EPE {metrics["epe_mm"]:5.1f} mm'
  )
for without, constrained in (
  ('lifter: source only', 'lifter: + BMC'),
  ('2D only', '+ BMC'),
):
  before, after = (results[row]['depth_mm'] for row in (without, constrained))
  change = 100 * (after / before - 1)
  print(f'{constrained}: {change:+.0f} % depth error, beside {without!r}')

# %% [markdown]
# With so few hands and steps this is a taste: `make quickstart` trains longer, and
# docs/results.md has what was measured with several seeds.
#
# ## The report
#
# One page with all numbers, curves and hands to turn and to bend. In Colab,
# `google.colab.files.download('run/report.html')` brings it to you.

# %%
page = (workdir / 'report.html').read_text()
display.HTML(
  '<iframe style="width:100%;height:700px;border:0" srcdoc="'
  + page.replace('&', '&amp;').replace('"', '&quot;')
  + '"></iframe>'
)
