'use strict';
// Hides and shows a row in every plot and picture of its group.
document.querySelectorAll('button.chip').forEach((chip) => {
  chip.addEventListener('click', () => {
    const group = chip.closest('[data-group]').dataset.group;
    const series = chip.dataset.series;
    const hide = chip.getAttribute('aria-pressed') === 'true';
    document.querySelectorAll(`[data-group="${group}"]`).forEach((block) => {
      block.classList.toggle('no-' + series, hide);
      block.querySelectorAll(`button.chip[data-series="${series}"]`).forEach((other) => {
        other.setAttribute('aria-pressed', String(!hide));
      });
    });
  });
});

// Skeletons that turn: all canvases of a group show one sample from one direction.
const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)').matches;

function startViewer(viewer) {
  const samples = JSON.parse(viewer.querySelector('script').textContent);
  const canvases = [...viewer.querySelectorAll('canvas')];
  const select = viewer.querySelector('select');
  const button = viewer.querySelector('button.turn');
  let yaw = 0.6, pitch = 0.15, turning = !reducedMotion, visible = false, drag = null;

  // 21 points; null for a joint that is not labelled or not finite.
  const triples = (flat) => Array.from({length: 21}, (_, k) => {
    const joint = flat.slice(3 * k, 3 * k + 3);
    return joint.includes(null) ? null : joint;
  });

  function frameOf(labelled) {
    const joints = labelled.filter((joint) => joint);
    if (!joints.length) joints.push([0, 0, 0]);
    const low = [0, 1, 2].map((axis) => Math.min(...joints.map((joint) => joint[axis])));
    const high = [0, 1, 2].map((axis) => Math.max(...joints.map((joint) => joint[axis])));
    const middle = low.map((value, axis) => (value + high[axis]) / 2);
    const radius = Math.max(1, ...joints.map((joint) =>
      Math.hypot(...joint.map((value, axis) => value - middle[axis]))));
    return {middle, radius};
  }

  function project(joints, frame, size) {
    const [cosY, sinY] = [Math.cos(yaw), Math.sin(yaw)];
    const [cosP, sinP] = [Math.cos(pitch), Math.sin(pitch)];
    const scale = size / (2.3 * frame.radius);
    return joints.map((joint) => {
      if (!joint) return null;
      const [x, y, z] = joint.map((value, axis) => value - frame.middle[axis]);
      const right = cosY * x - sinY * z;
      const away = sinY * x + cosY * z;
      const down = cosP * y + sinP * away;
      const depth = cosP * away - sinP * y;
      return [size / 2 + scale * right, size / 2 + scale * down, depth / frame.radius];
    });
  }

  function drawHand(context, points, colors, width, dots) {
    const bones = [];
    for (let finger = 0; finger < 5; finger++) {
      for (let bone = 0; bone < 4; bone++) {
        const from = bone ? points[4 * finger + bone] : points[0];
        const to = points[4 * finger + bone + 1];
        if (from && to) bones.push({from, to, color: colors[finger], depth: from[2] + to[2]});
      }
    }
    bones.sort((a, b) => b.depth - a.depth);
    for (const {from, to, color, depth} of bones) {
      const near = Math.min(1.6, Math.max(0.55, 1 - 0.35 * depth));
      context.strokeStyle = context.fillStyle = color;
      context.lineWidth = width * near;
      context.beginPath();
      context.moveTo(from[0], from[1]);
      context.lineTo(to[0], to[1]);
      context.stroke();
      if (dots) {
        context.beginPath();
        context.arc(to[0], to[1], 1.05 * width * near, 0, 2 * Math.PI);
        context.fill();
      }
    }
  }

  function draw() {
    const style = getComputedStyle(document.documentElement);
    const variable = (name) => style.getPropertyValue(name).trim();
    const fingers = [0, 1, 2, 3, 4].map((finger) => variable('--f' + finger));
    const sample = samples[select.selectedIndex];
    const truth = triples(sample.true);
    const frame = frameOf(truth.some(Boolean) ? truth : triples(sample.rows[0]));
    canvases.forEach((canvas, row) => {
      const side = canvas.clientWidth, ratio = window.devicePixelRatio || 1;
      if (!side) return;
      const pixels = Math.round(side * ratio);
      if (canvas.width !== pixels) canvas.width = canvas.height = pixels;
      const context = canvas.getContext('2d');
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, side, side);
      context.lineCap = 'round';
      context.globalAlpha = 0.55;
      const gray = variable('--chance');
      drawHand(context, project(truth, frame, side), Array(5).fill(gray), 3, false);
      context.globalAlpha = 1;
      drawHand(context, project(triples(sample.rows[row]), frame, side), fingers, 2.6, true);
    });
  }

  let last = 0;
  function tick(now) {
    if (!visible) return;
    if (turning && !drag) yaw += 0.00045 * Math.min(now - last, 100);
    last = now;
    draw();
    requestAnimationFrame(tick);
  }

  function setTurning(value) {
    turning = value;
    button.textContent = turning ? 'Stop turning' : 'Turn';
  }

  canvases.forEach((canvas) => {
    canvas.addEventListener('pointerdown', (event) => {
      drag = [event.clientX, event.clientY];
      canvas.setPointerCapture(event.pointerId);
      setTurning(false);
    });
    canvas.addEventListener('pointermove', (event) => {
      if (!drag) return;
      yaw -= 0.01 * (event.clientX - drag[0]);
      pitch = Math.max(-1.5, Math.min(1.5, pitch + 0.01 * (event.clientY - drag[1])));
      drag = [event.clientX, event.clientY];
    });
    for (const end of ['pointerup', 'pointercancel']) {
      canvas.addEventListener(end, () => { drag = null; });
    }
  });
  button.addEventListener('click', () => setTurning(!turning));
  viewer.querySelectorAll('button[data-yaw]').forEach((view) => {
    view.addEventListener('click', () => {
      yaw = Number(view.dataset.yaw);
      pitch = Number(view.dataset.pitch);
      setTurning(false);
    });
  });
  select.addEventListener('change', draw);
  setTurning(turning);
  draw();
  new IntersectionObserver((entries) => {
    const shown = entries[entries.length - 1].isIntersecting;
    if (shown && !visible) requestAnimationFrame((now) => { last = now; tick(now); });
    visible = shown;
  }).observe(viewer);
}

document.querySelectorAll('.viewer').forEach(startViewer);
