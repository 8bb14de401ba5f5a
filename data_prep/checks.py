"""What is checked of every example of every dataset, and of a dataset as a whole."""

from bmc_jax.data import example as example_lib

Measures = dict[str, float]


def check_example(
  example: example_lib.Example, image_shape: tuple, where: str
) -> Measures:
  """Checks one example.

  Args:
    example: whose image is the bytes of a file.
    image_shape: (H, W, 3) that the image must have; None where sizes differ.
    where: names the example's file.

  Returns:
    What was measured.

  Raises:
    ValueError: one sentence that names the file or the example and the remedy.
  """
  del where
  image = example_lib.decode_image(example['image'])
  if image is None:
    raise ValueError(f'{example["sample_id"]}: the image cannot be decoded.')
  example_lib.validate_example(example | {'image': image})
  return {}
