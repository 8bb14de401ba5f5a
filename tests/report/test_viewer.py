"""The viewer in a real browser: its arithmetic, its sliders, its manners."""

import functools
import json
import re

import numpy as np
import pytest

from bmc_jax import constraints, kinematics, limits, pose25d, skeleton
from bmc_jax.plausibility import violations
from bmc_jax.report import viewer_page
from bmc_jax.report.viewer_page import ViewedHand
from tests.fixtures.browser import open_browser
from tests.fixtures.hands import degenerate_hands, random_hands

COUNT = 12
HANDS = random_hands(3, 200).joints
# Wilder than any limit, so that every penalty is at work.
WILD = HANDS[:COUNT] + np.random.default_rng(0).normal(0, 0.3, (COUNT, 21, 3))
CAMERA = np.array([[300.0, 0, 100], [0, 300, 80], [0, 0, 1]])
IMAGE = np.random.default_rng(0).integers(0, 255, (160, 200, 3), dtype=np.uint8)


@functools.cache
def _limits():
  return limits.fit_limits(HANDS[:150])


def viewed() -> list[ViewedHand]:
  """Hands in metres, the second one a left hand, the last ones degenerate."""
  hands = [
    ViewedHand(
      f'hand <{i}>',
      0.03 * np.asarray(skeleton.mirror(WILD[i]) if i == 1 else WILD[i]) + [0, 0, 0.6],
      is_right=i != 1,
      image=IMAGE,
      intrinsics=CAMERA,
      notes=('</script><b>note</b>',),
    )
    for i in range(3)
  ]
  broken = [ViewedHand(name, hand) for name, hand in degenerate_hands().items()]
  return [*hands, *broken, ViewedHand('unknown', np.full((21, 3), np.nan))]


@pytest.fixture(scope='module')
def browser():
  with open_browser() as found:
    yield found


@pytest.fixture(scope='module')
def path(tmp_path_factory):
  file = tmp_path_factory.mktemp('viewer') / 'page.html'
  return viewer_page.write_viewer_page(
    file, 'Hands & more', ['a <line>'], viewed(), _limits(), command='x'
  )


@pytest.fixture
def page(browser, path):
  """The page, and at the end the claim that it needed nothing and broke nothing."""
  opened = browser.new_page(viewport={'width': 1100, 'height': 900})
  told, requests = [], []
  opened.on('console', lambda message: told.append(message.text))
  opened.on('pageerror', lambda error: told.append(str(error)))
  opened.on('request', lambda request: requests.append(request.url))
  opened.goto(path.as_uri())
  yield opened
  opened.close()
  assert not told
  assert [url for url in requests if not url.startswith('data:')] == [path.as_uri()]


def _state(page, name):
  return page.evaluate(f'document.querySelector(".posing").handViewer.{name}()')


def _joints(page):
  return np.array(_state(page, 'joints'), float)


@pytest.mark.slow
@pytest.mark.parametrize('frames', ['sequential', 'shortest_arc'])
def test_its_arithmetic_is_the_library_s(page, frames):
  right = np.asarray(pose25d.in_reference_bones(WILD))
  right = right - right[:, :1]
  fitted = limits.fit_limits(HANDS[:150], frames=frames)
  given = {
    name: np.asarray(getattr(fitted, name)).tolist()
    for name in ('bone_lengths', 'curvatures', 'root_angles', 'hulls')
  } | {'frames': frames}
  angles = np.asarray(kinematics.joint_angles(right, frames=frames))
  bent = np.clip(angles + 0.3, [-3, -1.5], [3, 1.5])
  found = page.evaluate(
    """([hands, limits, bent]) => hands.map((hand, i) => ({
      angles: HandMath.anglesOf(hand, limits.frames),
      posed: HandMath.pose(hand, bent[i], limits.frames),
      terms: HandMath.terms(HandMath.violations(hand, limits)),
      violations: HandMath.violations(hand, limits)}))""",
    [right.tolist(), given, bent.tolist()],
  )
  np.testing.assert_allclose([f['angles'] for f in found], angles, atol=1e-4)
  bones = kinematics.bone_vectors(right)
  posed = kinematics.forward_kinematics(
    bent, kinematics.bone_lengths(right), bones[:, :, 0], frames=frames
  )
  np.testing.assert_allclose([f['posed'] for f in found], posed, atol=1e-4)
  _, terms = constraints.bmc_loss(right, fitted)
  for name, values in terms.items():
    np.testing.assert_allclose([f['terms'][name] for f in found], values, rtol=1e-3)
  measured = violations.measure_violations(right, fitted, scale=np.ones(COUNT))
  for name in violations.NAMES:
    values = [f['violations'][name] for f in found]
    np.testing.assert_allclose(values, getattr(measured, name), atol=1e-3)


def test_a_slider_moves_the_joints_behind_it_and_the_readout(page):
  before, total = _joints(page), page.inner_text('[data-part=total]')
  point = page.get_attribute('[data-bone] >> nth=1 >> circle', 'cx')
  overlay = page.inner_html('[data-part=photo] g')
  slider = page.locator('[data-bone] >> nth=1 >> input >> nth=0')
  slider.fill('75')
  after = _joints(page)
  moved = np.linalg.norm(after - before, axis=1) > 1e-6
  # The PIP joint of the index finger bends: its DIP and tip move, nothing else.
  np.testing.assert_array_equal(np.flatnonzero(moved), [7, 8])
  angle = kinematics.joint_angles(after)[1, 1, 0]
  np.testing.assert_allclose(np.rad2deg(angle), 75, atol=0.01)
  lengths = [kinematics.bone_lengths(joints) for joints in (before, after)]
  np.testing.assert_allclose(*lengths, atol=1e-5)
  assert page.inner_text('[data-part=total]') != total
  assert page.get_attribute('[data-bone] >> nth=1 >> circle', 'cx') != point
  assert page.inner_html('[data-part=photo] g') != overlay
  assert page.inner_text('[data-bone] >> nth=1 >> output >> nth=0') == '75°'
  loss, _ = constraints.bmc_loss(after, _limits())
  assert float(page.inner_text('[data-part=total]')) == pytest.approx(
    float(loss), rel=2e-3
  )
  page.click('[data-part=reset]')
  np.testing.assert_array_equal(_joints(page), before)
  assert page.inner_text('[data-part=total]') == total


def test_the_keyboard_alone_chooses_a_hand_a_finger_and_an_angle(page):
  first = _joints(page)
  page.keyboard.press('Tab')
  page.keyboard.press('Tab')
  page.keyboard.press('ArrowDown')  # the list of hands
  assert page.input_value('[data-part=hand]') == 'hand <1>'
  assert np.abs(_joints(page) - first).max() > 0.1
  page.focus('[data-part=space]')
  page.keyboard.press('ArrowRight')
  assert _state(page, 'yaw') == pytest.approx(0.15)
  page.focus('[data-finger="4"]')
  page.keyboard.press('Enter')
  assert page.inner_text('[data-bone] >> nth=0 >> h4') == 'Little MCP'
  before = _joints(page)
  page.focus('[data-bone] >> nth=0 >> input >> nth=0')
  page.keyboard.press('ArrowRight')
  moved = np.abs(_joints(page) - before).max(axis=1) > 1e-6
  np.testing.assert_array_equal(np.flatnonzero(moved), [18, 19, 20])


def test_a_left_hand_is_judged_as_its_mirror_image_and_drawn_as_it_is(page):
  page.select_option('[data-part=hand]', index=1)
  expected = np.asarray(pose25d.in_reference_bones(WILD[1]))
  np.testing.assert_allclose(_joints(page), expected - expected[:1], atol=1e-3)
  left = viewed()[1].joints_3d @ CAMERA.T
  pixels = left[:, :2] / left[:, 2:]
  # The tip of the little finger: the end of the last bone that is drawn.
  bone = page.locator('[data-part=photo] line.bone').nth(19)
  drawn = [float(bone.get_attribute(name)) for name in ('x2', 'y2')]
  np.testing.assert_allclose(drawn, pixels[20], atol=0.1)


def test_degenerate_hands_are_shown_without_an_error(page):
  count = page.locator('[data-part=hand] option').count()
  assert count == len(viewed())
  for index in range(3, count):
    page.select_option('[data-part=hand]', index=index)
    page.locator('[data-bone] >> nth=0 >> input >> nth=0').fill('30')
  assert 'not numbers' in page.inner_text('[data-part=broken]')


def test_a_click_on_a_finger_chooses_it(page):
  page.click('[data-finger="0"]')
  box = page.locator('[data-part=space]').bounding_box()
  joints = _joints(page)
  low, high = joints.min(axis=0), joints.max(axis=0)
  middle = (low + high) / 2
  radius = np.linalg.norm(joints - middle, axis=1).max()
  # The tip of the ring finger, seen from the front.
  offset = (joints[16] - middle)[:2] * box['width'] / (2.5 * radius)
  page.mouse.click(
    box['x'] + box['width'] / 2 + offset[0], box['y'] + box['width'] / 2 + offset[1]
  )
  near = np.linalg.norm((joints - joints[16])[:, :2], axis=1).argsort()[1]
  chosen = page.locator('[data-finger][aria-pressed=true]').get_attribute('data-finger')
  assert int(chosen) in (3, (near - 1) // 4)


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_a_phone_shows_it_without_scrolling_sideways(browser, path, scheme):
  context = browser.new_context(
    viewport={'width': 375, 'height': 700}, color_scheme=scheme
  )
  opened = context.new_page()
  opened.goto(path.as_uri())
  assert opened.evaluate('document.documentElement.scrollWidth') == 375
  for selector in ('[data-part=photo]', '[data-part=space]'):
    assert opened.locator(selector).bounding_box()['width'] > 300
  context.close()


def test_forty_photos_make_a_page_of_less_than_five_megabytes(tmp_path):
  noise = np.random.default_rng(0).integers(100, 156, (900, 900, 3), dtype=np.uint8)
  hand = viewed()[0]
  hands = [
    ViewedHand(str(i), hand.joints_3d, image=noise, intrinsics=CAMERA)
    for i in range(40)
  ]
  page = viewer_page.write_viewer_page(
    tmp_path / 'page.html', 'Many', [], hands, _limits(), command='x'
  )
  assert page.stat().st_size < 5e6


def test_text_is_escaped_and_the_data_are_json(path):
  text = path.read_text()
  assert '<b>note</b>' not in text and 'hand &lt;0&gt;' in text
  data = re.search(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
  assert data and len(json.loads(data[1])['hands']) == len(viewed())


def test_wrong_input_is_told(tmp_path):
  with pytest.raises(ValueError, match='at least one hand'):
    viewer_page.viewer_section([], _limits())
  with pytest.raises(ValueError, match='shape'):
    viewer_page.viewer_section([ViewedHand('x', np.zeros((20, 3)))], _limits())
