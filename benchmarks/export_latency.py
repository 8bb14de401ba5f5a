r"""How long one hand takes in each exported format, beside MediaPipe's hand landmarks.

    python benchmarks/export_latency.py --tflite-python ENV/bin/python \
        --onnx-python ENV2/bin/python --mediapipe hand_landmark_full.tflite ...

Batch 1, two threads, ResNet-18 with heatmaps and ResNet-50 at 128 px with random
weights. TFLite and ONNX run in environments of their own (docs/export.md); MediaPipe's
models, which its wheel 0.10.21 holds below mediapipe/modules/hand_landmark, run where
TFLite does. Every format is measured by a process of its own, in turns: the medians of
each turn's calls, and of these the median.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

MODELS = {'ResNet-18, heatmaps': (18, 'heatmap'), 'ResNet-50': (50, 'regression')}
SIZE = 128
CALLS, WARM_UP = 40, 10


def make_function(name: str):
  """The function of a network with random weights, its signature, and one crop."""
  import jax

  from bmc_jax.export import signature
  from bmc_jax.models import create_model

  depth, head = MODELS[name]
  model = create_model({'name': 'pose_network', 'depth': depth, 'head': head})
  inputs = signature.Signature(
    ('image', 'intrinsics'), ((SIZE, SIZE, 3), (3, 3)), (np.uint8, np.float32)
  )
  image = np.random.default_rng(0).integers(0, 255, (1, SIZE, SIZE, 3), dtype=np.uint8)
  camera = np.array([[[150, 0, 64], [0, 150, 64], [0, 0, 1]]], np.float32)
  example = {'image': image / np.float32(255), 'intrinsics': camera}
  variables = jax.jit(model.init)(jax.random.key(0, impl='rbg'), example)
  return signature.crop_function(model, variables, inputs), inputs, (image, camera)


def open_model(form: str, name: str, path: Path):
  """A call of one crop; makes the file first if it is not there."""
  if form == 'mediapipe':
    from ai_edge_litert import interpreter

    loaded = interpreter.Interpreter(name, num_threads=2)
    loaded.allocate_tensors()
    (given,) = loaded.get_input_details()
    loaded.set_tensor(given['index'], np.zeros(given['shape'], given['dtype']))
    return loaded.invoke
  function, inputs, example = make_function(name)
  if form == 'jax':
    import jax

    jitted = jax.jit(function)
    return lambda: jax.block_until_ready(jitted(*example))
  import importlib

  module = importlib.import_module(f'bmc_jax.export.{form}')
  if not path.exists():
    module.write(path, function, inputs)
  predict = module.read(path, inputs)
  return lambda: np.asarray(predict(*example)[0])


def measure(form: str, name: str, path: Path) -> float:
  """The median of some calls, in milliseconds."""
  call = open_model(form, name, path)
  times = []
  for number in range(CALLS + WARM_UP):
    start = time.perf_counter()
    call()
    if number >= WARM_UP:
      times.append(time.perf_counter() - start)
  return 1e3 * statistics.median(times)


def main() -> None:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--tflite-python', help='of an environment with the extra tflite')
  parser.add_argument('--onnx-python', help='of an environment with the extra onnx')
  parser.add_argument('--mediapipe', nargs='*', default=[], help='.tflite files')
  parser.add_argument('--turns', type=int, default=3)
  parser.add_argument('--one', nargs=3, help=argparse.SUPPRESS)
  flags = parser.parse_args()
  if flags.one:
    form, name, path = flags.one
    print(json.dumps(measure(form, name, Path(path))))
    return
  pythons = {'jax': sys.executable, 'stablehlo': sys.executable}
  pythons |= {'tflite': flags.tflite_python, 'onnx': flags.onnx_python}
  jobs = [(form, name) for name in MODELS for form in pythons if pythons[form]]
  jobs += [('mediapipe', path) for path in flags.mediapipe]
  pythons['mediapipe'] = flags.tflite_python
  found: dict[tuple[str, str], list[float]] = {job: [] for job in jobs}
  with tempfile.TemporaryDirectory() as folder:
    for _ in range(flags.turns):
      for number, (form, name) in enumerate(jobs):
        path = f'{folder}/{number}.{form}'
        command = [pythons[form], __file__, '--one', form, name, path]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found[form, name].append(json.loads(done.stdout.splitlines()[-1]))
  base = {name: statistics.median(found['jax', name]) for name in MODELS}
  for (form, name), times in found.items():
    middle = statistics.median(times)
    share = f', {middle / base[name]:.2f} of jitted JAX' if name in base else ''
    print(f'{Path(name).name:24} {form:10} {middle:6.1f} ms{share}')


if __name__ == '__main__':
  main()
