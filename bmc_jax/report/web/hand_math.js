'use strict';
// The constraints of bmc_jax.constraints, and the forward kinematics of
// bmc_jax.kinematics, for one canonical right hand: 21 points [x, y, z] in the unit of
// the limits. Equations: paper section 3.1. A test compares both to the library.
const HandMath = (() => {
  const TINY = 1e-12;
  const PARALLEL = 1e-6; // unit vectors with a shorter cross product span no plane
  const sub = (a, b) => a.map((value, i) => value - b[i]);
  const add = (a, b) => a.map((value, i) => value + b[i]);
  const scale = (a, s) => a.map((value) => value * s);
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const cross = (a, b) => [
    a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const length = (a) => Math.hypot(...a);
  const unit = (a, least = TINY) =>
    (length(a) <= least ? [0, 0, 0] : scale(a, 1 / length(a))); // NaN stays NaN
  const atan2 = (y, x) => (Math.abs(x) + Math.abs(y) <= TINY ? 0 : Math.atan2(y, x));
  const range = (count) => Array.from({length: count}, (_, i) => i);

  // Bones of a finger, child minus parent: root, PIP, DIP and TIP bone.
  const bonesOf = (joints) => range(5).map((finger) => range(4).map((bone) => {
    const child = 4 * finger + bone + 1;
    return sub(joints[child], joints[bone ? child - 1 : 0]);
  }));

  // n_i = norm(b_{i+1} x b_i), and the edge normals e_i of the five root bones.
  const palmNormals = (roots) => range(4).map((i) =>
    unit(cross(unit(roots[i + 1]), unit(roots[i])), PARALLEL));
  const edgeNormals = (normals) => range(5).map((i) =>
    unit(add(normals[Math.max(i - 1, 0)], normals[Math.min(i, 3)])));

  // The frame of each PIP bone: z along the root bone, x into the palm, y = z x x.
  function rootFrames(roots) {
    const normals = palmNormals(roots);
    const into = [normals[0], normals[1], add(normals[2], normals[1]),
      add(normals[3], normals[2]), normals[3]];
    return range(5).map((finger) => {
      const z = unit(roots[finger]);
      const x = scale(unit(into[finger]), -1);
      return {x, y: cross(z, x), z};
    });
  }

  const direction = (frame, [flexion, abduction]) => {
    const [bx, by, bz] = [Math.cos(abduction) * Math.sin(flexion), Math.sin(abduction),
      Math.cos(abduction) * Math.cos(flexion)];
    return range(3).map((i) => bx * frame.x[i] + by * frame.y[i] + bz * frame.z[i]);
  };

  // The next bone's frame: turned by the flexion, then by the abduction; or by the
  // shortest arc from one bone to the next.
  function nextFrame(frame, [flexion, abduction], kind) {
    const z = direction(frame, [flexion, abduction]);
    if (kind === 'shortest_arc') {
      const axis = cross(frame.z, z), c = dot(frame.z, z);
      const turn = (v) => add(add(scale(v, c), cross(axis, v)),
        scale(axis, dot(axis, v) / Math.max(1 + c, TINY)));
      const x = unit(turn(frame.x));
      return {x, y: cross(z, x), z};
    }
    const x = add(scale(frame.x, Math.cos(flexion)), scale(frame.z, -Math.sin(flexion)));
    return {x, y: cross(z, x), z};
  }

  // [finger][bone] = [flexion, abduction] of PIP, DIP and TIP bones, radians.
  function anglesOf(joints, kind) {
    const bones = bonesOf(joints);
    const frames = rootFrames(bones.map((finger) => finger[0]));
    return frames.map((frame, finger) => bones[finger].slice(1).map((bone) => {
      const b = unit(bone);
      const [bx, by, bz] = [dot(b, frame.x), dot(b, frame.y), dot(b, frame.z)];
      const angles = [atan2(bx, bz), atan2(by, Math.hypot(bx, bz))];
      if (!(length(bone) <= TINY)) frame = nextFrame(frame, angles, kind);
      return angles;
    }));
  }

  // The hand with other joint angles: root bones and lengths stay as they are.
  function pose(joints, angles, kind) {
    const bones = bonesOf(joints);
    const frames = rootFrames(bones.map((finger) => finger[0]));
    const posed = [joints[0]];
    frames.forEach((frame, finger) => {
      let joint = joints[4 * finger + 1];
      posed.push(joint);
      angles[finger].forEach((bend, k) => {
        joint = add(joint, scale(direction(frame, bend), length(bones[finger][k + 1])));
        frame = nextFrame(frame, bend, kind);
        posed.push(joint);
      });
    });
    return posed;
  }

  // Distance of a point (flexion, abduction) to a convex polygon, 0 inside; flexion is
  // taken modulo a full turn.
  function hullDistance(point, hull) {
    const distances = [-1, 0, 1].map((turns) => {
      const [px, py] = [point[0] + turns * 2 * Math.PI, point[1]];
      let inside = true, least = Infinity;
      hull.forEach(([sx, sy], i) => {
        const [ex, ey] = hull[(i + 1) % hull.length];
        const [vx, vy, qx, qy] = [ex - sx, ey - sy, px - sx, py - sy];
        const square = vx * vx + vy * vy;
        if (square && vx * qy - vy * qx < 0) inside = false;
        const along = square ? Math.min(1, Math.max(0, (vx * qx + vy * qy) / square)) : 0;
        least = Math.min(least, Math.hypot(qx - along * vx, qy - along * vy));
      });
      return inside && hull.some(([x, y]) => x !== hull[0][0] || y !== hull[0][1])
        ? 0 : least;
    });
    return Math.min(...distances);
  }

  // How far a value is outside of a range, negative below it; null leaves it open.
  const outside = (value, lower, upper) =>
    value - Math.min(upper ?? Infinity, Math.max(lower ?? -Infinity, value));

  // By limit how far the hand is outside, in its unit, the inverse and radians.
  function violations(joints, limits) {
    const bones = bonesOf(joints);
    const roots = bones.map((finger) => finger[0]);
    const edges = edgeNormals(palmNormals(roots));
    const angles = anglesOf(joints, limits.frames);
    const between = (name, i, value) =>
      outside(value, limits[name][0][i], limits[name][1][i]);
    return {
      bone_lengths: bones.map((finger, f) => finger.map((bone, b) => outside(
        length(bone), limits.bone_lengths[0][f][b], limits.bone_lengths[1][f][b]))),
      curvatures: range(4).map((i) => {
        const apart = sub(roots[i + 1], roots[i]), square = dot(apart, apart);
        return between('curvatures', i,
          square <= TINY ? 0 : dot(sub(edges[i + 1], edges[i]), apart) / square);
      }),
      root_angles: range(4).map((i) => between('root_angles', i, atan2(
        length(cross(unit(roots[i]), unit(roots[i + 1]))),
        dot(unit(roots[i]), unit(roots[i + 1]))))),
      joint_angles: angles.map((finger, f) => finger.map((angle, b) =>
        hullDistance(angle, limits.hulls[f][b]))),
    };
  }

  // L_BL, L_RB and L_A: means over 20 bones, 4 pairs of root bones and 15 joints.
  function terms(found) {
    const mean = (values) =>
      values.reduce((sum, value) => sum + Math.abs(value), 0) / values.length;
    return {
      bone_length: mean(found.bone_lengths.flat()),
      root_bone: mean(found.curvatures) + mean(found.root_angles),
      joint_angle: mean(found.joint_angles.flat()),
    };
  }

  return {bonesOf, rootFrames, anglesOf, pose, hullDistance, violations, terms};
})();
