// The page's viewer: a photo, a hand to turn, and sliders that bend its joints.
(() => {
  const FINGERS = ['Thumb', 'Index', 'Middle', 'Ring', 'Little'];
  const JOINTS = [['CMC', 'MCP', 'IP'], ...Array(4).fill(['MCP', 'PIP', 'DIP'])];
  const CHAINS = FINGERS.map((_, f) => [0, 1, 2, 3, 4].map((k) => (k ? 4 * f + k : 0)));
  const DEGREES = 180 / Math.PI;
  // So far outside a limit is as red as it gets: radians, reference bones, inverse ones.
  const WORST = {joint_angles: 0.35, root_angles: 0.18, bone_lengths: 0.2, curvatures: 0.2};
  const TOLERANCE = 1e-4;
  const STOPS = [[43, 158, 68], [238, 180, 0], [224, 49, 49]];

  function heat(severity) {
    const place = Math.min(Math.max(severity, 0), 1) * (STOPS.length - 1);
    const i = Math.min(Math.floor(place), STOPS.length - 2), t = place - i;
    const mixed = STOPS[i].map((c, k) => Math.round(c + t * (STOPS[i + 1][k] - c)));
    return `rgb(${mixed.join(',')})`;
  }

  const element = (parent, name, attributes) => {
    const made = document.createElementNS(parent.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    parent.append(made);
    return made;
  };

  function start(root) {
    const data = JSON.parse(root.querySelector('script').textContent);
    const {limits, weights, names} = data;
    const get = (name) => root.querySelector(`[data-part="${name}"]`);
    const select = get('hand'), canvas = get('space'), photo = get('photo');
    let index = 0, finger = 1, byFinger = false;
    let yaw = 0, pitch = 0, zoom = 1, drag = null;
    let original, angles, posed, found;

    const hand = () => data.hands[index];
    const points = (flat) => (flat ? Array.from({length: 21}, (_, k) =>
      flat.slice(3 * k, 3 * k + 3).map((v) => (v === null ? NaN : v))) : null);
    const finite = (point) => point.every(Number.isFinite);

    // --- the hand -------------------------------------------------------------------
    function load() {
      original = points(hand().joints);
      angles = HandMath.anglesOf(original, limits.frames);
      drawPhotoFrame();
      update(original);
      get('notes').replaceChildren(...hand().notes.map((note) => {
        const line = document.createElement('span');
        line.textContent = note;
        return line;
      }));
      chooseFinger(finger);
    }

    function update(joints) {
      posed = joints;
      found = HandMath.violations(posed, limits);
      drawReadout();
      drawPhoto();
      drawSpace();
    }

    const bend = (bone, axis, degrees) => {
      angles[finger][bone][axis] = degrees / DEGREES;
      update(HandMath.pose(original, angles, limits.frames));
      drawHull(bone);
    };

    // The worst that is wrong with a bone, as a share of what counts as very wrong.
    function severity(f, b) {
      const of = (name, value) => Math.abs(value) / WORST[name];
      const parts = [of('bone_lengths', found.bone_lengths[f][b])];
      if (b) parts.push(of('joint_angles', found.joint_angles[f][b - 1]));
      if (!b) {
        for (const pair of [f - 1, f]) {
          if (pair < 0 || pair > 3) continue;
          parts.push(of('curvatures', found.curvatures[pair]));
          parts.push(of('root_angles', found.root_angles[pair]));
        }
      }
      return Math.max(...parts);
    }

    const variable = (name) =>
      getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const color = (f, b) => (byFinger ? variable('--f' + f) : heat(severity(f, b)));
    const isEdited = () => posed !== original;

    // --- the photo ------------------------------------------------------------------
    function drawPhotoFrame() {
      const {image, width, height} = hand();
      photo.closest('figure').hidden = !image;
      if (!image) return;
      photo.setAttribute('viewBox', `-0.5 -0.5 ${width} ${height}`);
      photo.replaceChildren();
      element(photo, 'image', {href: image, x: -0.5, y: -0.5, width, height,
        preserveAspectRatio: 'none'});
      element(photo, 'g', {});
    }

    function drawPhoto() {
      const group = photo.querySelector('g');
      if (!hand().image || !group) return;
      const [[fx, skew, cx], [, fy, cy]] = hand().camera;
      const pixels = posed.map((joint) => {
        const [x, y, z] = joint.map((value, axis) =>
          (axis ? value : hand().side * value) + hand().root[axis]);
        return z > 0.01 ? [(fx * x + skew * y) / z + cx, (fy * y) / z + cy] : [NaN, NaN];
      });
      group.replaceChildren();
      for (const [kind, f, b] of bonesInOrder()) {
        const [from, to] = [pixels[CHAINS[f][b]], pixels[CHAINS[f][b + 1]]];
        if (!finite(from) || !finite(to)) continue;
        const line = {x1: from[0], y1: from[1], x2: to[0], y2: to[1]};
        element(group, 'line', {...line, class: kind, ...(kind === 'halo' ? {} :
          {stroke: color(f, b)})});
      }
    }

    // All outlines first, so that none covers a bone.
    const bonesInOrder = () => ['halo', 'bone'].flatMap((kind) =>
      CHAINS.flatMap((_, f) => [0, 1, 2, 3].map((b) => [kind, f, b])));

    // --- the space ------------------------------------------------------------------
    function frameOf() {
      const known = original.filter(finite);
      if (!known.length) known.push([0, 0, 0]);
      const axes = [0, 1, 2];
      const low = axes.map((a) => Math.min(...known.map((joint) => joint[a])));
      const high = axes.map((a) => Math.max(...known.map((joint) => joint[a])));
      const middle = axes.map((a) => (low[a] + high[a]) / 2);
      const radius = Math.max(1e-6, ...known.map((joint) =>
        Math.hypot(...joint.map((value, a) => value - middle[a]))));
      return {middle, radius};
    }

    function place(joints, frame, side) {
      const [cosY, sinY] = [Math.cos(yaw), Math.sin(yaw)];
      const [cosP, sinP] = [Math.cos(pitch), Math.sin(pitch)];
      const factor = (zoom * side) / (2.5 * frame.radius);
      return joints.map((joint) => {
        const [right, y, z] = joint.map((value, a) => value - frame.middle[a]);
        const x = hand().side * right;
        const away = sinY * x + cosY * z;
        return [side / 2 + factor * (cosY * x - sinY * z),
          side / 2 + factor * (cosP * y + sinP * away),
          (cosP * away - sinP * y) / frame.radius];
      });
    }

    function drawBones(context, places, colorOf, width) {
      const bones = CHAINS.flatMap((chain, f) => [0, 1, 2, 3].map((b) =>
        ({f, b, from: places[chain[b]], to: places[chain[b + 1]]})));
      bones.filter(({from, to}) => finite(from) && finite(to))
        .sort((a, b) => b.from[2] + b.to[2] - a.from[2] - a.to[2])
        .forEach(({f, b, from, to}) => {
          const near = Math.min(1.5, Math.max(0.6, 1 - 0.2 * (from[2] + to[2])));
          const wide = colorOf && f === finger ? 1.5 : 1;
          context.strokeStyle = context.fillStyle = colorOf ? colorOf(f, b) :
            variable('--chance');
          context.lineWidth = width * near * wide;
          context.beginPath();
          context.moveTo(from[0], from[1]);
          context.lineTo(to[0], to[1]);
          context.stroke();
          context.beginPath();
          context.arc(to[0], to[1], 0.9 * width * near * wide, 0, 2 * Math.PI);
          context.fill();
        });
    }

    let shown = [];
    function drawSpace() {
      const side = canvas.clientWidth, ratio = window.devicePixelRatio || 1;
      if (!side || !posed) return;
      const pixels = Math.round(side * ratio);
      if (canvas.width !== pixels) canvas.width = canvas.height = pixels;
      const context = canvas.getContext('2d');
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, side, side);
      context.lineCap = 'round';
      const frame = frameOf();
      context.globalAlpha = 0.5;
      const truth = points(hand().truth);
      if (truth) drawBones(context, place(truth, frame, side), null, 2.5);
      if (isEdited()) drawBones(context, place(original, frame, side), null, 1.5);
      context.globalAlpha = 1;
      shown = place(posed, frame, side);
      drawBones(context, shown, color, 4);
    }

    function turn(dYaw, dPitch) {
      yaw += dYaw;
      pitch = Math.max(-1.57, Math.min(1.57, pitch + dPitch));
      drawSpace();
    }

    function look(newYaw, newPitch) {
      [yaw, pitch] = [newYaw, newPitch];
      drawSpace();
    }

    function magnify(factor) {
      zoom = Math.max(0.5, Math.min(5, zoom * factor));
      drawSpace();
    }

    function fingerAt(x, y) {
      const distance = (f) => Math.min(...[0, 1, 2, 3].map((b) => {
        const [from, to] = [shown[CHAINS[f][b]], shown[CHAINS[f][b + 1]]];
        const [vx, vy] = [to[0] - from[0], to[1] - from[1]];
        const along = ((x - from[0]) * vx + (y - from[1]) * vy) / (vx * vx + vy * vy || 1);
        const t = Math.max(b ? 0 : 0.5, Math.min(1, along)); // root bones meet at the wrist
        return Math.hypot(x - from[0] - t * vx, y - from[1] - t * vy) || 0;
      }));
      const nearest = [0, 1, 2, 3, 4].sort((a, b) => distance(a) - distance(b))[0];
      return distance(nearest) < 14 ? nearest : null;
    }

    // --- sliders and hulls ----------------------------------------------------------
    function chooseFinger(chosen) {
      finger = chosen;
      root.querySelectorAll('[data-finger]').forEach((button) => {
        button.setAttribute('aria-pressed', String(Number(button.dataset.finger) === finger));
      });
      root.querySelectorAll('[data-bone]').forEach((panel, bone) => {
        const joint = `${FINGERS[finger]} ${JOINTS[finger][bone]}`;
        panel.querySelector('h4').textContent = joint;
        panel.querySelectorAll('input').forEach((slider, axis) => {
          slider.setAttribute('aria-label', `${joint} ${axis ? 'abduction' : 'flexion'}`);
          const degrees = angles[finger][bone][axis] * DEGREES;
          slider.value = Number.isFinite(degrees) ? degrees : 0;
        });
        drawHull(bone);
      });
      drawSpace();
    }

    // The plane of flexion (right) and abduction (up), in degrees, around the hull.
    function drawHull(bone) {
      const panel = root.querySelectorAll('[data-bone]')[bone];
      const svg = panel.querySelector('svg');
      const hull = limits.hulls[finger][bone].map((corner) => corner.map((a) => a * DEGREES));
      const [low, high] = [Math.min, Math.max].map((best) => [0, 1].map((axis) =>
        best(...hull.map((corner) => corner[axis]))));
      const middle = [0, 1].map((axis) => (low[axis] + high[axis]) / 2);
      const half = Math.max(high[0] - low[0], high[1] - low[1]) / 2 + 20;
      svg.setAttribute('viewBox', `${-half} ${-half} ${2 * half} ${2 * half}`);
      svg.replaceChildren();
      const line = (attributes) => element(svg, 'line', {class: 'axis', ...attributes});
      line({x1: -half, x2: half, y1: middle[1], y2: middle[1]});
      line({x1: -middle[0], x2: -middle[0], y1: -half, y2: half});
      element(svg, 'polygon', {class: 'hull', points: hull.map(([x, y]) =>
        `${x - middle[0]},${middle[1] - y}`).join(' ')});
      const angle = angles[finger][bone].map((a) => a * DEGREES);
      panel.querySelectorAll('output').forEach((output, axis) => {
        output.textContent = Number.isFinite(angle[axis]) ? `${Math.round(angle[axis])}°` : '–';
      });
      const outside = found.joint_angles[finger][bone] * DEGREES;
      panel.querySelector('[data-part="distance"]').textContent = !Number.isFinite(outside) ?
        'not known' : outside > 0.05 ? `${outside.toFixed(1)}° outside` : 'within its hull';
      if (!angle.every(Number.isFinite)) return;
      const clip = (value) => Math.max(-half + 4, Math.min(half - 4, value));
      element(svg, 'circle', {class: 'point', cx: clip(angle[0] - middle[0]),
        cy: clip(middle[1] - angle[1]), r: half / 16, fill: heat(found.joint_angles[finger][bone] / WORST.joint_angles)});
    }

    // --- what the constraints say ---------------------------------------------------
    const UNITS = {
      bone_lengths: [100, ' %'], curvatures: [1, ''],
      root_angles: [DEGREES, '°'], joint_angles: [DEGREES, '°'],
    };

    function drawReadout() {
      const terms = HandMath.terms(found);
      let total = 0;
      for (const [name, value] of Object.entries(terms)) {
        total += weights[name] * value;
        get(name).textContent = Number.isFinite(value) ? value.toFixed(4) : '–';
      }
      get('total').textContent = Number.isFinite(total) ? total.toFixed(4) : '–';
      const broken = Object.keys(UNITS).flatMap((group) =>
        found[group].flat().map((value, i) => ({value, group, name: names[group][i]})))
        .filter(({value}) => Math.abs(value) > TOLERANCE)
        .sort((a, b) => Math.abs(b.value) / WORST[b.group] - Math.abs(a.value) / WORST[a.group]);
      const phrase = ({value, group, name}) => {
        const amount = (value * UNITS[group][0]).toFixed(group === 'curvatures' ? 2 : 1);
        return `${name} ${value > 0 ? '+' : ''}${amount}${UNITS[group][1]}`;
      };
      const lines = broken.slice(0, 8).map(phrase);
      if (broken.length > 8) lines.push(`and ${broken.length - 8} more`);
      const unknown = Object.values(found).flat(2).some(Number.isNaN);
      if (!broken.length) lines.push(unknown ? 'This hand has joints that are not numbers.' :
        'This hand keeps all 43 limits.');
      get('broken').replaceChildren(...lines.map((text) => {
        const item = document.createElement('li');
        item.textContent = text;
        return item;
      }));
      get('reset').disabled = !isEdited();
    }

    // --- events ---------------------------------------------------------------------
    const go = (step) => {
      select.selectedIndex = (index + step + data.hands.length) % data.hands.length;
      select.dispatchEvent(new Event('change'));
    };
    select.addEventListener('change', () => { index = select.selectedIndex; load(); });
    get('previous').addEventListener('click', () => go(-1));
    get('next').addEventListener('click', () => go(1));
    get('reset').addEventListener('click', load);
    get('colors').addEventListener('change', (event) => {
      byFinger = event.target.value === 'finger';
      get('scale').hidden = byFinger;
      drawPhoto();
      drawSpace();
    });
    root.querySelectorAll('[data-finger]').forEach((button) => {
      button.addEventListener('click', () => chooseFinger(Number(button.dataset.finger)));
    });
    root.querySelectorAll('[data-bone]').forEach((panel, bone) => {
      panel.querySelectorAll('input').forEach((slider, axis) => {
        slider.addEventListener('input', () => bend(bone, axis, Number(slider.value)));
      });
    });
    root.querySelectorAll('[data-look]').forEach((button) => {
      button.addEventListener('click', () =>
        look(...button.dataset.look.split(',').map(Number)));
    });
    get('larger').addEventListener('click', () => magnify(1.25));
    get('smaller').addEventListener('click', () => magnify(0.8));
    canvas.addEventListener('keydown', (event) => {
      const keys = {
        ArrowLeft: () => turn(-0.15, 0), ArrowRight: () => turn(0.15, 0),
        ArrowUp: () => turn(0, -0.15), ArrowDown: () => turn(0, 0.15),
        '+': () => magnify(1.25), '=': () => magnify(1.25), '-': () => magnify(0.8),
      };
      if (!keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
    });
    canvas.addEventListener('pointerdown', (event) => {
      drag = {x: event.clientX, y: event.clientY, moved: 0};
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener('pointermove', (event) => {
      if (!drag) return;
      const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
      drag = {x: event.clientX, y: event.clientY, moved: drag.moved + Math.hypot(dx, dy)};
      turn(-0.01 * dx, 0.01 * dy);
    });
    canvas.addEventListener('pointerup', (event) => {
      if (drag && drag.moved < 4) {
        const box = canvas.getBoundingClientRect();
        const chosen = fingerAt(event.clientX - box.left, event.clientY - box.top);
        if (chosen !== null) chooseFinger(chosen);
      }
      drag = null;
    });
    canvas.addEventListener('pointercancel', () => { drag = null; });
    new ResizeObserver(drawSpace).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      drawPhoto();
      drawSpace();
    });
    load();
    root.handViewer = {joints: () => posed, violations: () => found, yaw: () => yaw};
  }

  document.querySelectorAll('.posing').forEach(start);
})();
