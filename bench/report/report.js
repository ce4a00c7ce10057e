// Draws report.html from the two JSON texts in it: a result of `mezzo bench` and what others have
// published. Needs nothing else, so the page works offline.
'use strict';

const result = JSON.parse(document.getElementById('result').textContent);
const published = JSON.parse(document.getElementById('published').textContent);

const OURS = '#0f6fc6';
const PEER = '#d9772b';
const GREY = '#9aa5b1';
const FONT = 'system-ui, "Segoe UI", "DejaVu Sans", sans-serif';
// `withoutExit`: the sensitive instructions that the processor executes where the system's kernel runs (ring 1 with
// its I/O privilege, or ring 3 without).
const PAIRS = [
  { virtual: 'mezzo', native: 'native', name: 'Mezzo (i386)', color: OURS,
    withoutExit: ['cli', 'sti', 'pushf', 'popf', 'iret', 'sysenter', 'int'] },
  { virtual: 'xen', native: 'native-amd64', name: 'Xen PV dom0 (amd64)', color: PEER,
    withoutExit: ['pushf', 'popf', 'iret', 'sysenter', 'int'] },
];

const element = (id) => document.getElementById(id);
const cell = (suite, machine) =>
  result.cells.find((one) => one.suite === suite && one.machine === machine);
const figures = (suite, machine) => cell(suite, machine)?.figures ?? {};
const value = (suite, machine, operation) => figures(suite, machine)[operation]?.instructions;
const number = (count) =>
  count === undefined ? '–'
  : count >= 1e6 ? `${(count / 1e6).toFixed(1)} M`
  : count >= 100 ? Math.round(count).toLocaleString('en')
  : String(Math.round(count * 100) / 100);

// The names of all operations of a suite, in the order of the first machine that has them.
function operations(suite) {
  const cells = result.cells.filter((one) => one.suite === suite);
  return [...new Set(cells.flatMap((one) => Object.keys(one.figures)))];
}

function ratio(suite, pair, operation) {
  const virtual = value(suite, pair.virtual, operation);
  const native = value(suite, pair.native, operation);
  return virtual === undefined || !native ? undefined : virtual / native;
}

// A table of strings; the first row is its head. Columns with words in them are set left.
function table(id, rows) {
  const wordy = rows[0].map((_, column) => rows.slice(1).some((row) => /[a-z]{3}/i.test(row[column])));
  const line = (cells, tag) => `<tr>${cells.map((one, column) =>
    `<${tag}${wordy[column] ? ' class="text"' : ''}>${one}</${tag}>`).join('')}</tr>`;
  element(id).innerHTML = `<table><thead>${line(rows[0], 'th')}</thead><tbody>${
    rows.slice(1).map((row) => line(row, 'td')).join('')}</tbody></table>`;
}

function hide(id) {
  element(id).style.display = 'none';
}

const charts = new Map();
function draw(id, height, option) {
  const place = element(id);
  place.style.height = `${height}px`;
  if (!charts.has(id)) charts.set(id, echarts.init(place, null, { renderer: 'svg' }));
  const chart = charts.get(id);
  chart.setOption({ animation: false, textStyle: { fontFamily: FONT }, ...option });
  frame(chart);
}
// With a view box, paper of any width takes the whole picture.
function frame(chart) {
  chart.getDom().querySelector('svg').setAttribute('viewBox', `0 0 ${chart.getWidth()} ${chart.getHeight()}`);
}
function fit() {
  charts.forEach((chart) => {
    chart.resize();
    frame(chart);
  });
}

// Horizontal bars, a group for each category; `axis` is ECharts' for the values.
function bars(id, title, categories, series, unit = '', axis = { type: 'value', min: 0 }) {
  const label = {
    show: true, position: 'right', fontSize: 11,
    formatter: ({ value: shown }) => (shown === undefined || shown === null ? '' : `${shown.toFixed(3)}${unit}`),
  };
  draw(id, 94 + categories.length * (12 + 15 * series.length), {
    title: { text: title, left: 0, textStyle: { fontSize: 14 } },
    legend: { top: 30, left: 0 },
    tooltip: { trigger: 'axis', valueFormatter: (shown) => (shown === undefined ? '–' : `${shown.toFixed(4)}${unit}`) },
    grid: { left: 8, right: 60, top: 60, bottom: 8, containLabel: true },
    xAxis: axis,
    yAxis: { type: 'category', inverse: true, data: categories },
    series: series.map((one, index) => ({
      type: 'bar', name: one.name, data: one.data, itemStyle: { color: one.color }, label,
      markLine: index === 0
        ? { symbol: 'none', silent: true, data: [{ xAxis: 1 }], label: { show: false }, lineStyle: { color: '#333' } }
        : undefined,
    })),
  });
}

function drawRatios() {
  let drawn = false;
  for (const [suite, title] of [['lmbench', 'lmbench'], ['micro', 'Our own operations']]) {
    const pairs = PAIRS.filter((pair) => cell(suite, pair.virtual) && cell(suite, pair.native));
    if (pairs.length === 0) {
      hide(`${suite}-chart`);
      continue;
    }
    drawn = true;
    bars(`${suite}-chart`, title, operations(suite), pairs.map((pair) => ({
      name: pair.name, color: pair.color,
      data: operations(suite).map((operation) => ratio(suite, pair, operation)),
    })));
  }
  if (!drawn) hide('ratios-section');
}

// Stacked bars: of each pair of machines the native one's parts, then the virtual one's, in percent of
// all that the native one executes.
function stacks(id, suite, pairs, names, parts) {
  const series = [];
  for (const pair of pairs) {
    for (const machine of [pair.native, pair.virtual]) {
      for (const [part, name, color] of parts) {
        series.push({
          type: 'bar', stack: machine, name, itemStyle: { color }, barGap: '10%',
          data: names.map((operation) => {
            const of = figures(suite, machine)[operation];
            const all = value(suite, pair.native, operation);
            return of && all ? { value: (100 * (of[part] ?? 0)) / all, machine } : undefined;
          }),
        });
      }
    }
  }
  draw(id, 80 + names.length * (14 + 22 * pairs.length), {
    legend: { top: 0, left: 0, data: parts.map((part) => part[1]) },
    tooltip: { formatter: ({ name, seriesName, data }) => `${name}, ${data.machine}: ${seriesName} ${data.value.toFixed(2)} %` },
    grid: { left: 8, right: 24, top: 32, bottom: 8, containLabel: true },
    xAxis: { type: 'value', axisLabel: { formatter: '{value} %' } },
    yAxis: { type: 'category', inverse: true, data: names },
    series,
  });
}

function drawParts() {
  const pairs = PAIRS.filter((pair) => cell('micro', pair.virtual) && cell('micro', pair.native));
  if (pairs.length === 0) return hide('parts-section');
  stacks('parts-chart', 'micro', pairs, operations('micro'),
    [['user', 'program', '#7fb77e'], ['kernel', 'kernel', '#5b8db8'], ['monitor', 'monitor', '#c8553d']]);
}

function drawExits() {
  const systems = PAIRS.filter((pair) => cell('micro', pair.virtual));
  if (systems.length === 0) return hide('exits-section');
  const rows = [['operation', 'system', 'entries', 'root switches', 'pages touched after them',
    'instructions of the monitor', 'exits by instruction', 'sensitive, but without an exit']];
  for (const operation of operations('micro')) {
    for (const pair of systems) {
      const of = figures('micro', pair.virtual)[operation];
      if (!of) continue;
      const causes = (leaves) => Object.entries(of['of the kernel'] ?? {})
        .filter(([cause, count]) => pair.withoutExit.includes(cause) !== leaves && count >= 0.005)
        .map(([cause, count]) => `${cause === 'syscall' ? 'hypercall' : cause} ${number(count)}`).join(', ');
      rows.push([operation, pair.virtual, number(of['monitor entries']), number(of['root switches']),
        number(of['pages after root switches']), number(of.monitor ?? 0), causes(true), causes(false)]);
    }
  }
  table('exits-table', rows);
}

function drawMonitor() {
  const mezzo = figures('monitor', 'mezzo');
  if (Object.keys(mezzo).length === 0) return hide('monitor-section');
  table('monitor-table', [['operation', 'instructions of the monitor', 'entries', 'instructions on the bare machine'],
    ...Object.keys(mezzo).map((operation) => [operation, number(mezzo[operation].monitor ?? 0),
      number(mezzo[operation]['monitor entries']), number(value('monitor', 'native', operation))])]);
  table('published-exits-table', [['others', 'null hypercall', 'ignored privileged instruction', 'source'],
    ...published.exits.map((one) => [one.system, one.hypercall, one.ignored, one.source])]);
}

const prices = {};

function cycles(machine, operation) {
  const of = figures('micro', machine)[operation];
  if (!of) return undefined;
  return of.instructions * prices.cpi + (of['monitor entries'] ?? 0) * prices.trap +
    (of['root switches'] ?? 0) * prices.root + (of['pages after root switches'] ?? 0) * prices.refill +
    (of['of the programs']?.int ?? 0) * prices.gate;
}

function drawModel() {
  const pairs = PAIRS.filter((pair) => cell('micro', pair.virtual) && cell('micro', pair.native));
  const names = operations('micro').filter((name) => name !== 'boot');
  bars('model-chart', 'Cycles of the model, against the bare machine’s', names, pairs.map((pair) => ({
    name: pair.name, color: pair.color,
    data: names.map((operation) => {
      const virtual = cycles(pair.virtual, operation);
      const native = cycles(pair.native, operation);
      return virtual === undefined || !native ? undefined : virtual / native;
    }),
  })));
}

function prepareModel() {
  if (!cell('micro', 'mezzo') || !cell('micro', 'native')) return hide('model-section');
  const kept = new URLSearchParams(location.hash.slice(1));
  for (const [name, cost] of Object.entries(published.costs)) {
    const asked = Number(kept.get(name) ?? NaN);
    prices[name] = asked >= cost.least && asked <= cost.most ? asked : cost.value;
    const id = `price-${name}`;
    element('model').insertAdjacentHTML('beforeend',
      `<label for="${id}">${cost.label}</label>` +
      `<input id="${id}" type="range" min="${cost.least}" max="${cost.most}" step="${cost.step}" value="${prices[name]}">` +
      `<output for="${id}">${prices[name]} ${cost.unit ?? ''}</output><small>${cost.source}</small>`);
  }
  for (const name of Object.keys(published.costs)) {
    const input = element(`price-${name}`);
    input.addEventListener('input', () => {
      prices[name] = Number(input.value);
      input.nextElementSibling.textContent = `${prices[name]} ${published.costs[name].unit ?? ''}`;
      history.replaceState(null, '', `#${new URLSearchParams(prices)}`);
      drawModel();
    });
  }
  if (!Object.values(figures('micro', 'mezzo')).some((of) => of['pages after root switches'])) {
    element('model-note').textContent =
      'This is a quick run: pages touched after a root switch were not counted, so their price has no effect.';
  }
  drawModel();
}

function drawTwo() {
  const base = 'beside-idle';
  const others = result.cells.filter((one) => one.suite === 'two-guests' && one.machine !== base).map((one) => one.machine);
  if (others.length === 0 || !cell('two-guests', base)) return hide('two-section');
  bars('two-chart', `Instructions, against ${base}`, operations('two-guests').filter((name) => name !== 'boot'),
    others.map((machine, index) => ({
      name: machine, color: [OURS, PEER, GREY, '#7fb77e'][index % 4],
      data: operations('two-guests').filter((name) => name !== 'boot').map((operation) =>
        value('two-guests', machine, operation) / value('two-guests', base, operation)),
    })));
  table('two-table', [['entries into the monitor', base, ...others],
    ...operations('two-guests').map((operation) => [operation, ...[base, ...others].map((machine) =>
      number(figures('two-guests', machine)[operation]?.['monitor entries']))])]);
}

function drawPublished() {
  const names = Object.keys(published.lmbench[0].native);
  const ours = PAIRS.filter((pair) => cell('lmbench', pair.virtual) && cell('lmbench', pair.native));
  const shown = [
    ...ours.map((pair) => ({
      name: `${pair.name}, here`, color: pair.color, source: 'instructions, this report',
      data: names.map((name) => ratio('lmbench', pair, name)),
    })),
    ...published.lmbench.map((paper, index) => ({
      name: paper.name, color: [GREY, '#c9b38c'][index], source: paper.source,
      data: names.map((name) => paper.virtual[name] / paper.native[name]),
    })),
  ];
  bars('published-chart', 'lmbench, ratio to native', names, shown);
  table('published-table', [['system', ...names, 'source'],
    ...shown.map((one) => [one.name, ...one.data.map((ratioOf) => ratioOf?.toFixed(3) ?? '–'), one.source])]);
}

function drawSizes() {
  table('changes-table', [['system', 'one guest: lines changed', 'two guests', 'guest', 'source'],
    ...published.changes.map((one) =>
      [one.system, number(one.one), number(one.two), one.guest, one.source ?? 'this repository: kernels come from Debian’s packages'])]);
  const rows = PAIRS.map((pair) => [pair, result.cells.find((one) => one.machine === pair.virtual && one.monitor)])
    .filter(([, one]) => one)
    .map(([pair, one]) => [pair.name, `${number(one.monitor.loaded / 1024)} KiB`, `${number(one.monitor.memory / 1024)} KiB`,
      published.running[pair.virtual]]);
  if (rows.length === 0) return hide('sizes');
  table('sizes-table', [['monitor', 'loaded from the image', 'memory of the image', 'taken when it runs'], ...rows]);
}

function drawHead() {
  element('about').textContent =
    `Mezzo ${result.mezzo}, QEMU ${[...new Set(result.cells.map((one) => one.qemu))].join(' and ')}${result.quick ? ', a quick run' : ''}. ` +
    'Instructions of an emulated machine in virtual time.' +
    (result.missing ?? []).map((one) => ` Not measured: ${one.suite} on ${one.machine}.`).join('');
  const show = (text, ratioOf) =>
    ratioOf === undefined ? '' : `<div><b>${ratioOf.toFixed(3)} ×</b>${text}</div>`;
  const mezzo = PAIRS[0];
  const call = figures('monitor', 'mezzo')['null-hypercall'];
  element('headline').innerHTML =
    show('native: fork and exit', ratio('lmbench', mezzo, 'fork+exit') ?? ratio('micro', mezzo, 'fork-exit')) +
    show('native: pipe', ratio('lmbench', mezzo, 'pipe') ?? ratio('micro', mezzo, 'pipe')) +
    show('native: boot', ratio('micro', mezzo, 'boot')) +
    (call ? `<div><b>${call.monitor}</b>instructions: null hypercall</div>` : '') +
    '<div><b>0</b>lines changed in the guest’s kernel</div>';
}

function drawMethod() {
  const escape = (text) => text.replace(/[&<>]/g, (one) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[one]);
  element('method').innerHTML = result.cells.map((one) =>
    `<details><summary>${one.suite} on ${one.machine}${one.kernel ? `: ${escape(one.kernel)}` : ''}</summary>` +
    `<pre>${escape(one.command.join(' '))}</pre><pre>${one.parts.map((part) =>
      escape(`${part.name} ${part.version} SHA-256 ${part.sha256}`)).join('\n')}</pre></details>`).join('');
}

drawHead();
drawRatios();
drawParts();
drawExits();
drawMonitor();
drawArmv7();
prepareModel();
drawTwo();
drawRealtime();
drawPublished();
drawSizes();
drawMethod();
addEventListener('resize', fit);
document.body.dataset.charts = charts.size;
