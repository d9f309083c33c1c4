// How the report of the doctor looks, and what a watch prints between two examinations.
import { expect, test } from 'vitest';
import { changesBetween, changeText, reportText } from '../../src/cli/doctor-text.ts';
import type { Examination, Finding } from '../../src/doctor/examination.ts';

const AT_MS = Date.parse('2026-11-30T12:00:00Z');

function finding(changes: Partial<Finding>): Finding {
  return {
    check: 'memory',
    severity: 'warning',
    subject: 'a:1',
    seen: 'full',
    why: 'it is bad',
    fix: 'one && two',
    ...changes,
  };
}

function examined(...findings: readonly Finding[]): Examination {
  return { examinedAtMs: AT_MS, tookMs: 1_200, deployment: 'mymaster', findings };
}

const plain = { verbose: false, width: undefined };

test('what concerns several nodes alike is said once, with the command for each', () => {
  const text = reportText(
    examined(finding({ fix: 'on a' }), finding({ subject: 'b:1', fix: 'on b' }), finding({ seen: 'fuller' })),
    plain,
  );
  expect(text).toBe(`mymaster (examined in 1 s)

WARNING  memory  a:1, b:1
    seen  full
    why   it is bad
    fix   on a
          on b

WARNING  memory  a:1
    seen  fuller
    why   it is bad
    fix   one
          two

3 warnings; 0 fine (-v shows them)
`);
});

test('a deployment without a finding is told of in two lines, and -v shows what is fine', () => {
  const fine = examined(finding({ severity: 'ok', why: undefined, fix: undefined }));
  expect(reportText(fine, plain)).toBe(
    'mymaster (examined in 1 s)\n\nnothing is wrong; 1 fine (-v shows them)\n',
  );
  expect(reportText(fine, { ...plain, verbose: true })).toContain(
    'FINE    SUBJECT  SEEN\nmemory  a:1      full\n',
  );
});

test('prose is wrapped to the terminal, and a command never', () => {
  const words = Array.from({ length: 60 }, () => 'word').join(' ');
  const text = reportText(examined(finding({ why: words, fix: words })), { ...plain, width: 80 });
  const lines = text.split('\n');
  expect(lines.filter((line) => line.length > 80)).toEqual([`    fix   ${words}`]);
  expect(lines.filter((line) => line.startsWith('          word')).length).toBeGreaterThan(2);
});

test('what Redis or a name says cannot move the cursor of the terminal', () => {
  const text = reportText(examined(finding({ seen: 'a\u001b[2Jb\nc', subject: 'a\u0007:1' })), plain);
  for (const obeyed of ['\u001b', '\u0007']) expect(text).not.toContain(obeyed);
  expect(text).toContain('seen  a\ufffd[2Jb\ufffdc\n');
});

test('a watch prints what is new and what is gone, and nothing for a number that changed', () => {
  const before = examined(finding({ seen: '81 %' }), finding({ check: 'clocks', severity: 'error' }));
  const after = examined(finding({ seen: '82 %' }), finding({ check: 'hosts', severity: 'info', seen: 'x' }));
  expect(changesBetween(before, after).map(changeText(AT_MS)).join('')).toBe(
    '12:00:00  gone  ERROR    clocks  a:1: full\n12:00:00  new   INFO     hosts  a:1: x\n',
  );
  expect(changesBetween(after, after)).toEqual([]);
});
