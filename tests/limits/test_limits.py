import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from bmc_jax import constraints, hull, limits, skeleton
from bmc_jax.joint_files.reading import read_joints
from bmc_jax.limits import literature
from bmc_jax.plausibility import violations
from tests.fixtures.hands import as_users_call, random_hands

BMC_LOSS = jax.jit(constraints.bmc_loss)
LEAVES = ('bone_lengths', 'curvatures', 'root_angles', 'hulls')


def _loss(joints, hand_limits):
  """Loss and terms of 300 hands, a number that is compiled once."""
  assert len(joints) == 300
  return BMC_LOSS(joints.astype(np.float32), hand_limits)


@pytest.fixture(scope='module')
def hands():
  return random_hands(0, 300, spread=10).joints


@pytest.fixture(scope='module')
def fitted(hands):
  return limits.fit_limits(hands, coverage=1.0, source='made-up hands')


def _assert_equal(a, b, atol=0.0):
  for name in LEAVES:
    np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=0, atol=atol)


def test_fitted_limits_admit_their_own_hands_and_no_others(hands, fitted):
  assert fitted.hulls.shape == (5, 3, 12, 2)
  metadata = limits.LimitsMetadata(source='made-up hands', num_poses=300)
  assert dataclasses.asdict(fitted.metadata) == dataclasses.asdict(metadata)
  total, _ = _loss(hands, fitted)
  assert total.max() < 1e-5
  others = random_hands(1, 300, spread=40).joints
  assert _loss(others, fitted)[0].min() > 1e-3


@pytest.mark.parametrize(
  'count, coverage', [(300, 0.9), (300, 0.99), (10, 0.999), (100, 0.95)]
)
def test_each_range_admits_at_least_the_share_asked_for(hands, count, coverage):
  robust = limits.fit_limits(hands[:count], coverage=coverage)
  inside = {
    'lengths': jax.jit(constraints.bone_length_penalty)(hands, robust) < 1e-6,
    'palm': jax.jit(constraints.root_bone_penalty)(hands, robust) < 1e-5,
    'angles': jax.jit(constraints.joint_angle_penalty)(hands, robust) < 1e-6,
  }
  # The palm's penalty adds two ranges: both may leave out hands, not always the same.
  least = {'lengths': coverage, 'palm': 2 * coverage - 1, 'angles': coverage}
  for name, admitted in inside.items():
    share = np.asarray(admitted)[:count].mean(axis=0)
    assert share.min() >= least[name] - 1e-9, name


def test_limits_do_not_depend_on_unit_place_order_or_side(hands, fitted):
  joints = 37.0 * hands + [1.0, 2, 3]
  variants = [limits.fit_limits(joints, coverage=1.0)]
  for order in ('mano', 'rhd'):
    reordered = skeleton.reorder(joints, 'canonical', order)
    variants.append(limits.fit_limits(reordered, coverage=1.0, joint_order=order))
  left = skeleton.mirror(joints)
  variants.append(limits.fit_limits(left, coverage=1.0, is_right=False))
  is_right = np.arange(len(joints)) % 3 > 0
  mixed = np.where(is_right[:, None, None], joints, left)
  variants.append(limits.fit_limits(mixed, coverage=1.0, is_right=is_right))
  for variant in variants:
    for name in LEAVES[:3]:
      np.testing.assert_allclose(
        getattr(variant, name), getattr(fitted, name), rtol=0, atol=1e-4
      )
    # Corners may differ where points nearly tie; what they admit does not.
    assert _loss(hands, variant)[0].max() < 1e-4


def test_another_reference_bone_sets_the_unit(hands):
  other = limits.fit_limits(hands, coverage=1.0, reference=(0, 9))
  np.testing.assert_allclose(other.bone_lengths[:, 2, 0], 1, rtol=1e-5)
  assert other.metadata.reference == (0, 9)


def test_a_single_pose_and_real_poses_can_be_fitted(hands, test_data):
  one = limits.fit_limits(hands[:1])
  assert _loss(np.repeat(hands[:1], 300, axis=0), one)[0].max() < 1e-5
  path = test_data / 'data' / 'poses' / 'stb_train_joints.npy'
  if not path.is_file():
    pytest.skip(f'no real samples: there is no file {path}')
  joints = np.load(path)
  fitted = limits.fit_limits(joints, coverage=1.0)
  scale = np.linalg.norm(joints[:, 10] - joints[:, 9], axis=-1)
  normalized = (joints / scale[:, None, None])[::50]
  assert _loss(normalized, fitted)[0].max() < 1e-4


def test_fitting_refuses_bad_poses_in_a_sentence(hands):
  cases = {
    r'shape \(21, 3\), but \(n, 21, 3\)': hands[0],
    r'shape \(2, 20, 3\)': hands[:2, :20],
    'at least one pose': hands[:0],
    'not finite': hands[:2] * np.nan,
    r'2 of 3 poses have a reference bone \(9 -> 10\) of length 0': (
      hands[:3] * np.array([1, 0, 0])[:, None, None]
    ),
  }
  with as_users_call():
    for sentence, joints in cases.items():
      with pytest.raises(ValueError, match=sentence):
        limits.fit_limits(joints)
    with pytest.raises(ValueError, match='Unknown joint order'):
      limits.fit_limits(hands, joint_order='coco')
    with pytest.raises(ValueError, match='coverage is a share'):
      limits.fit_limits(hands, coverage=0.0)
    for num_vertices in (2, 8.0):
      with pytest.raises(ValueError, match='at least 3 vertices'):
        limits.fit_limits(hands, num_vertices=num_vertices)  # pyright: ignore
    for reference in ((9.0, 10.0), (9, 10, 11), 9):
      with pytest.raises(ValueError, match='two different joints of 0 to 20'):
        limits.fit_limits(hands, reference=reference)  # pyright: ignore
    for is_right in (np.ones(3), 2, np.ones((300, 1))):
      with pytest.raises(ValueError, match='one True or False is needed, or one for'):
        limits.fit_limits(hands, is_right=is_right)


def test_limits_are_a_pytree_that_jax_passes_differentiates_and_keeps(hands, fitted):
  doubled = jax.tree.map(lambda x: 2 * x, fitted)
  assert doubled.metadata == fitted.metadata
  joints = 1.5 * hands[:4].astype(np.float32)
  floats = jax.tree.map(np.float32, fitted)
  gradient = jax.jit(jax.grad(lambda x: constraints.bmc_loss(joints, x)[0].sum()))(
    floats
  )
  # Longer bones than allowed: raising the upper bounds lowers the loss.
  assert np.all(gradient.bone_lengths[1] < 0) and not gradient.bone_lengths[0].any()
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_json_files_return_the_same_limits(tmp_path, fitted):
  path = tmp_path / 'limits.json'
  limits.save_limits(path, fitted)
  _assert_equal(limits.load_limits(path), fitted, atol=1e-8)
  limits.save_limits(tmp_path / 'again.json', limits.load_limits(path))
  assert (tmp_path / 'again.json').read_text() == path.read_text(), 'digit by digit'
  loaded = limits.load_limits(str(path))
  assert dataclasses.asdict(loaded.metadata) == dataclasses.asdict(fitted.metadata)
  content = json.loads(path.read_text())
  corners = content['hulls_flexion_abduction_deg']['index']['dip']
  padded = corners + corners[-1:] * (12 - len(corners))
  np.testing.assert_allclose(padded, np.rad2deg(fitted.hulls[1, 1]), atol=1e-6)
  np.testing.assert_allclose(
    content['bone_lengths']['little']['tip'], fitted.bone_lengths[:, 4, 3], atol=1e-8
  )


def test_hulls_edited_to_different_numbers_of_corners_load_padded(tmp_path):
  path = tmp_path / 'limits.json'
  limits.save_limits(path, limits.clinical_limits())
  content = json.loads(path.read_text())
  content['hulls_flexion_abduction_deg']['ring']['pip'] = [[0, 0], [90, 0], [0, 20]]
  path.write_text(json.dumps(content))
  loaded = limits.load_limits(path).hulls[3, 0]
  np.testing.assert_allclose(
    np.rad2deg(loaded), [[0, 0], [90, 0]] + 6 * [[0, 20]], atol=1e-12
  )


def test_a_person_can_narrow_one_joint_by_its_range(tmp_path, hands):
  path = tmp_path / 'limits.json'
  limits.save_limits(path, limits.clinical_limits())
  text = path.read_text()
  # The index's PIP joint, whose angles are those of its "dip" bone: one line.
  before = '"dip": {"flexion": [0.0, 110.0], "abduction": [-28.0, 28.0]}'
  assert text.count(before) == 1
  path.write_text(text.replace(before, before.replace('110.0', '40')))
  narrow, wide = limits.load_limits(path), limits.clinical_limits()
  _assert_equal(
    dataclasses.replace(narrow, hulls=wide.hulls),
    wide,
    atol=1e-8,
  )
  assert np.rad2deg(narrow.hulls[1, 1].max(axis=0)) == pytest.approx([40, 28])
  changed = np.abs(narrow.hulls - wide.hulls).max(axis=(2, 3)) > 1e-7
  assert np.argwhere(changed).tolist() == [[1, 1]]


def _set(*keys, to):
  def edit(content):
    for key in keys[:-1]:
      content = content[key]
    content[keys[-1]] = to

  return edit


HULL = ('hulls_flexion_abduction_deg', 'index', 'dip')
BAD_FILES = {
  'its "format" is not': _set('format', to='something else'),
  'metadata is missing': lambda c: c.pop('metadata'),
  'bone_lengths > index is missing': lambda c: c['bone_lengths'].pop('index'),
  'bone_lengths > ring > dip is missing': lambda c: c['bone_lengths']['ring'].pop(
    'dip'
  ),
  'metadata > size is unknown; known are unit, reference': _set(
    'metadata', 'size', to=1
  ),
  'metadata is 3, but a table': _set('metadata', to=3),
  'metadata > reference is missing': lambda c: c['metadata'].pop('reference'),
  'metadata > reference is two different joints of 0 to 20, not .9, 99': _set(
    'metadata', 'reference', to=[9, 99]
  ),
  'metadata > reference is two different joints .*not 5': _set(
    'metadata', 'reference', to=5
  ),
  "metadata > reference is two different joints .*'b'": _set(
    'metadata', 'reference', to=['a', 'b']
  ),
  "metadata > handedness is 'Right'; choose one of .'right', 'left'": _set(
    'metadata', 'handedness', to='Right'
  ),
  "metadata > frames is 'foo'; choose one": _set('metadata', 'frames', to='foo'),
  "metadata > joint_order is 'coco'; choose": _set(
    'metadata', 'joint_order', to='coco'
  ),
  'metadata > unit is 5, but text': _set('metadata', 'unit', to=5),
  "metadata > coverage is '99%', but a share": _set('metadata', 'coverage', to='99%'),
  'metadata > num_poses is 1.5, but a whole': _set('metadata', 'num_poses', to=1.5),
  'index > pip is .-1, 0.5., but such values lie in .0, inf': _set(
    'bone_lengths', 'index', 'pip', to=[-1, 0.5]
  ),
  r'middle > pip is \[20, 30\], but it is the reference bone, of length 1': _set(
    'bone_lengths', 'middle', 'pip', to=[20, 30]
  ),
  "index > pip is .'1', '2'., but .least, largest., two numbers": _set(
    'bone_lengths', 'index', 'pip', to=['1', '2']
  ),
  'index > pip is .True, 2., but': _set('bone_lengths', 'index', 'pip', to=[True, 2]),
  'root_angles_deg > ring-little is .0, 400., but such values lie in .0, 180': _set(
    'root_angles_deg', 'ring-little', to=[0, 400]
  ),
  'root_angles_deg are all below .* radians': lambda c: c['root_angles_deg'].update(
    {pair: [0.2, 1.2] for pair in c['root_angles_deg']}
  ),
  'bone_lengths > thumb > root is .*least value is above': _set(
    'bone_lengths', 'thumb', 'root', to=[2.0, 1.0]
  ),
  'bone_lengths > thumb > root is 2, but .least, largest., two numbers': _set(
    'bone_lengths', 'thumb', 'root', to=2
  ),
  'palm_curvatures > ring-little is .nan, 1.0., but .*two numbers': _set(
    'palm_curvatures', 'ring-little', to=[float('nan'), 1.0]
  ),
  'root_angles_deg > thumb-index is .*least value is above': _set(
    'root_angles_deg', 'thumb-index', to=[30, 20]
  ),
  'hull_vertices is 8.5': _set('hull_vertices', to=8.5),
  'hull_vertices is True, but a whole': _set('hull_vertices', to=True),
  'hull_vertices is 100000, but a whole': _set('hull_vertices', to=100000),
  'index > dip > abduction is missing': _set(
    *HULL, to={'flexion': [0, 10], 'Abduction': [0, 20]}
  ),
  'index > dip > flexion is .700, 800., but such values lie in .-360, 360': _set(
    *HULL, to={'flexion': [700, 800], 'abduction': [0, 20]}
  ),
  'index > dip > abduction is .-200, 200., but such': _set(
    *HULL, to={'flexion': [0, 10], 'abduction': [-200, 200]}
  ),
  'index > dip is out of reach': _set(*HULL, to=[[0, 95], [20, 95], [20, 120]]),
  'index > dip is not finite': _set(*HULL, to=[[0, 0], [float('inf'), 0], [0, 20]]),
  'index > dip is not finite: draw': _set(
    *HULL, to={'flexion': [0, float('inf')], 'abduction': [0, 20]}
  ),
  'index > dip is not convex and counter-clockwise': _set(
    *HULL, to=[[0, 0], [0, 20], [90, 20], [90, 0]]
  ),
  'index > dip is not convex': _set(*HULL, to=[[0, 0], [90, 0], [10, 5], [0, 20]]),
  'index > dip is not': _set(*HULL, to=[[0, 0]] * 4),
  'index > dip is not convex .* or has no area': _set(
    *HULL, to={'flexion': [10, 10], 'abduction': [0, 20]}
  ),
  'index > dip > flexion is .*least value is above': _set(
    *HULL, to={'flexion': [90, 0], 'abduction': [0, 20]}
  ),
  'index > dip is .*, but a list of at least 3 corners': _set(
    *HULL, to=[[0, 0, 0]] * 4
  ),
  'index > dip is .*but a list': _set(*HULL, to=[['a', 'b']] * 4),
}


@pytest.mark.parametrize('sentence', BAD_FILES)
def test_bad_files_are_refused_in_a_sentence_that_names_the_file(sentence, tmp_path):
  path = tmp_path / 'limits.json'
  limits.save_limits(path, limits.clinical_limits())
  content = json.loads(path.read_text())
  BAD_FILES[sentence](content)
  path.write_text(json.dumps(content))
  with pytest.raises(ValueError, match=sentence) as error:
    limits.load_limits(path)
  assert 'limits.json' in str(error.value)


def test_missing_and_unreadable_files_are_refused_in_a_sentence(tmp_path):
  with pytest.raises(FileNotFoundError, match='no limits file .*fit_limits and save'):
    limits.load_limits(tmp_path / 'none.json')
  path = tmp_path / 'broken.json'
  path.write_text('{"format": ')
  with pytest.raises(ValueError, match='broken.json is not valid JSON'):
    limits.load_limits(path)
  path.write_bytes(bytes(range(256)))
  with pytest.raises(ValueError, match='broken.json is not valid JSON'):
    limits.load_limits(path)
  path.write_text('[1, 2]')
  with pytest.raises(ValueError, match='is not a limits file'):
    limits.load_limits(path)


@pytest.mark.parametrize(
  'change, sentence',
  [
    ({'joint_order': 'mano'}, "joint order 'mano'.*reordered joints"),
    ({'handedness': 'left'}, "for 'left' hands.*mirrored joints"),
  ],
)
def test_limits_for_other_orders_or_left_hands_are_refused(
  hands, fitted, change, sentence
):
  metadata = dataclasses.replace(fitted.metadata, **change)
  other = dataclasses.replace(fitted, metadata=metadata)
  with pytest.raises(ValueError, match=sentence):
    constraints.bmc_loss(hands.astype(np.float32), other)


def test_clinical_limits_are_a_valid_file_that_admits_relaxed_hands(tmp_path):
  clinical = limits.clinical_limits()
  path = tmp_path / 'clinical.json'
  limits.save_limits(path, clinical)
  _assert_equal(limits.load_limits(path), clinical, atol=1e-8)
  relaxed = random_hands(2, 300, spread=2).joints
  assert not _loss(relaxed, clinical)[1]['joint_angle'].any()
  # Fingers bent backwards by a right angle are not.
  assert _loss(skeleton.mirror(relaxed), clinical)[1]['joint_angle'].min() > 0.05
  lowest, highest = clinical.bone_lengths
  assert np.all(lowest <= highest) and lowest[2, 1] == highest[2, 1] == 1


def test_every_figure_of_the_literature_names_a_source_and_every_source_is_used():
  named = {m.low_source for m in literature.MOTIONS}
  named |= {m.high_source for m in literature.MOTIONS}
  # BOA: rotation of the fingers; Buryanov: lengths of the bones.
  assert named | {'BOA', 'Buryanov'} == set(literature.SOURCES)
  assert all(motion.low < motion.high for motion in literature.MOTIONS)
  for source in literature.SOURCES.values():
    assert source.citation and source.checked


def test_clinical_hulls_reach_as_far_as_the_sources_say():
  hulls = np.rad2deg(limits.clinical_limits().hulls)
  for motion in literature.MOTIONS:
    if motion.joint == 'PIP' and motion.movement == 'flexion':
      flexion = hulls[skeleton.FINGERS.index(motion.finger), 1, :, 0]
      assert (flexion.min(), flexion.max()) == pytest.approx((motion.low, motion.high))
  # A closed index is parallel to the middle finger, 15 degrees off its own line.
  assert hulls[1, 0, :, 1].min() == pytest.approx(-30 - 15)
  assert hulls[1, 0, :, 1].max() == pytest.approx(30)


@pytest.mark.parametrize('pronation', [0, 30, 60, 90])
def test_the_thumb_bends_in_any_direction_that_its_pronation_allows(pronation, x64):
  clinical = limits.clinical_limits()
  turn = Rotation.from_euler('z', -pronation, degrees=True)
  for flexion in (-15, 0, 30, 60, 80):
    x, y, z = turn.apply(
      Rotation.from_euler('y', flexion, degrees=True).apply([0, 0, 1])
    )
    point = [np.arctan2(x, z), np.arcsin(y)]
    distance = hull.hull_distance(np.broadcast_to(point, (5, 3, 2)), clinical.hulls)
    assert distance[0, 1] == 0, 'the MCP reaches there'
  # Straight backwards, by more than any source admits.
  back = hull.hull_distance(np.full((5, 3, 2), [-0.6, 0.3]), clinical.hulls)
  assert back[0, 1] > 0.1


def test_clinical_limits_admit_most_real_joints(test_data):
  for name, joint_order, least in (
    ('stb_train_joints.npy', 'canonical', {(0, 0): 0.80}),
    ('dexycb_subjects01-08.npz', 'mano', {}),
  ):
    path = test_data / 'data' / 'poses' / name
    if not path.is_file():
      pytest.skip(f'no real samples: there is no file {path}')
    file = read_joints(path, joint_order)
    joints = file.joints_3d[::20]
    if file.is_right is not None:
      is_right = file.is_right[::20, None, None]
      joints = np.where(is_right, joints, skeleton.mirror(joints))
    found = violations.measure_violations(joints, limits.clinical_limits())
    admitted = 1 - found.broken()['joint_angles'].mean(axis=0)
    for index in np.ndindex(5, 3):
      assert admitted[index] >= least.get(index, 0.95), index
    assert found.within()['curvatures'].all() and found.within()['root_angles'].all()


def _changed(wide, **leaves):
  return lambda: dataclasses.replace(wide, **leaves)


def _misshapen(wide):
  """Limits that no one can mean, by the sentence that refuses them."""
  lengths, hulls = wide.bone_lengths, wide.hulls
  dented, nan = hulls.copy(), lengths.copy()
  dented[3, 1, 0] = hulls[3, 1, 1:4].mean(axis=0)
  nan[0, 2, 3] = np.nan
  return {
    r'bone_lengths .*\(2, 4, 5\), but \(2, 5, 4\)': _changed(
      wide, bone_lengths=np.swapaxes(lengths, 1, 2)
    ),
    r'curvatures .*\(2, 1\), but \(2, 4\)': _changed(
      wide, curvatures=wide.curvatures[:, :1]
    ),
    r'root_angles .*\(2,\), but': _changed(wide, root_angles=np.zeros(2)),
    r'hulls .*\(3, 5, 8, 2\), but \(5, 3, v, 2\) with': _changed(
      wide, hulls=hulls.swapaxes(0, 1)
    ),
    r'hulls .*\(5, 3, 2, 2\), but .* at least 3 corners': _changed(
      wide, hulls=hulls[:, :, :2]
    ),
    'different leading axes': _changed(wide, hulls=hulls[None]),
    'bone_lengths of the limits: thumb > root has a least value above': _changed(
      wide, bone_lengths=lengths[::-1]
    ),
    'bone_lengths of the limits: middle > tip has .*no number': _changed(
      wide, bone_lengths=nan
    ),
    'curvatures of the limits: thumb-index has': _changed(
      wide, curvatures=jnp.asarray(wide.curvatures)[::-1]
    ),
    'hulls of the limits: thumb > pip is not convex and counter-cl': _changed(
      wide, hulls=hulls[:, :, ::-1]
    ),
    'hulls of the limits: ring > dip is not convex': _changed(wide, hulls=dented),
  }


def test_arrays_that_are_no_limits_are_refused_in_a_sentence():
  for sentence, make in _misshapen(limits.clinical_limits()).items():
    with pytest.raises(ValueError, match=sentence):
      make()


def test_rounded_and_padded_hulls_are_limits():
  wide = limits.clinical_limits()
  fitted = limits.fit_limits(random_hands(0, 50, spread=10).joints, num_vertices=40)
  for own in (wide, fitted):
    for dtype in (np.float32, jnp.bfloat16, np.float16):
      dataclasses.replace(own, hulls=np.add(own.hulls, [np.pi, 0]).astype(dtype))
    dataclasses.replace(own, hulls=np.repeat(own.hulls, 3, axis=2))


def test_jax_may_put_anything_into_limits(fitted):
  for leaf in (object(), None, np.zeros(3), jax.ShapeDtypeStruct((2, 2), float)):
    assert jax.tree.map(lambda _, leaf=leaf: leaf, fitted).hulls is leaf
  stacked = jax.tree.map(lambda *leaves: np.stack(leaves), fitted, fitted)
  axes = limits.HandLimits(0, None, 0, 0)  # pyright: ignore

  @jax.jit
  def extent(own):
    own = dataclasses.replace(own, curvatures=own.curvatures[::-1])
    return own.hulls.max() - limits.as_boxes(own).bone_lengths.min()

  wanted = fitted.hulls.max() - fitted.bone_lengths.min()
  mixed = dataclasses.replace(stacked, curvatures=stacked.curvatures)
  mixed = jax.tree_util.tree_unflatten(
    jax.tree.structure(mixed),
    [stacked.bone_lengths, fitted.curvatures, stacked.root_angles, stacked.hulls],
  )
  np.testing.assert_allclose(jax.vmap(extent, in_axes=(axes,))(mixed), wanted, 1e-5)
  np.testing.assert_allclose(extent(fitted), wanted, 1e-5)
  assert jax.eval_shape(lambda own: own, fitted).hulls.shape == (5, 3, 12, 2)


def test_limits_of_two_sources_share_a_program_a_stack_and_a_branch(hands):
  two = [
    limits.fit_limits(hands[:n], coverage=c, source=f'{n} hands')
    for n, c in ((100, 1.0), (200, 0.9))
  ]
  traces = []

  @jax.jit
  def highest(own):
    traces.append(own)
    return own.bone_lengths.max()

  found = [highest(own) for own in two]
  np.testing.assert_allclose(found, [own.bone_lengths.max() for own in two], 1e-6)
  assert len(traces) == 1
  stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *two)
  assert stacked.hulls.shape == (2, 5, 3, 12, 2)
  for first in (True, False):
    chosen = jax.lax.cond(first, lambda: two[0], lambda: two[1])
    np.testing.assert_allclose(chosen.hulls, two[1 - first].hulls, 1e-6)
  # What decides how hands are judged is another program.
  arcs = dataclasses.replace(two[0].metadata, frames='shortest_arc')
  highest(dataclasses.replace(two[0], metadata=arcs))
  assert len(traces) == 2


def test_limits_are_equal_and_hash_alike_if_they_judge_alike(tmp_path):
  one, other = limits.clinical_limits(), limits.clinical_limits()
  other = dataclasses.replace(
    other, metadata=dataclasses.replace(other.metadata, source='by hand')
  )
  assert one == other and hash(one) == hash(other) and len({one, other}) == 1
  longer = dataclasses.replace(one, bone_lengths=1.1 * one.bone_lengths)
  metres = dataclasses.replace(
    one, metadata=dataclasses.replace(one.metadata, unit='m')
  )
  more = dataclasses.replace(one, hulls=np.repeat(one.hulls, 2, axis=2))
  for unlike in (longer, metres, more, None, 3):
    assert one != unlike


def test_numbers_of_numpy_and_jax_become_plain_ones(tmp_path):
  metadata = limits.LimitsMetadata(
    reference=jnp.array([9, 10]),  # pyright: ignore
    coverage=np.float32(0.5),  # pyright: ignore
    num_poses=np.int64(3),  # pyright: ignore
  )
  assert dataclasses.astuple(metadata)[1] == (9, 10)
  own = dataclasses.replace(limits.clinical_limits(), metadata=metadata)
  limits.save_limits(tmp_path / 'limits.json', own)
  loaded = limits.load_limits(tmp_path / 'limits.json').metadata
  assert (loaded.coverage, loaded.num_poses) == (0.5, 3)


def test_open_ranges_are_kept(tmp_path):
  wide = limits.clinical_limits()
  is_open = dataclasses.replace(
    wide,
    bone_lengths=wide.bone_lengths + np.float64([0, np.inf])[:, None, None],
    root_angles=np.repeat([[-np.inf], [np.inf]], 4, axis=1),
  )
  limits.save_limits(tmp_path / 'open.json', is_open)
  _assert_equal(limits.load_limits(tmp_path / 'open.json'), is_open, atol=1e-8)


def test_files_from_windows_editors_load(tmp_path):
  path = tmp_path / 'limits.json'
  limits.save_limits(path, limits.clinical_limits())
  text = path.read_text().replace('\n', '\r\n')
  path.write_text(text, encoding='utf-8-sig')
  _assert_equal(limits.load_limits(path), limits.clinical_limits(), atol=1e-8)
