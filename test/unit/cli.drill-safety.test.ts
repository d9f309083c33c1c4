// Which findings keep a drill from failing over, and what --accept changes.
import { expect, test } from 'vitest';
import { findingText, type SafetyFinding, verdictOn } from '../../src/cli/drill-safety.ts';

const finding = (check: string, severity: string): SafetyFinding => ({
  check,
  severity,
  subject: '10.0.0.1:6379',
  seen: 'seen',
  why: 'why',
  fix: 'fix',
});
const objection = { check: 'rest', subject: 'a', seen: 'b', why: 'c', fix: 'd' };

test('Objections of the drill and errors of an examination keep a drill from failing over, and nothing else does', () => {
  const examined = [finding('one', 'error'), finding('two', 'warning'), finding('three', 'ok')];
  const { blocking, accepted, needless } = verdictOn([objection], examined, []);
  expect(blocking.map(({ check }) => check)).toEqual(['rest', 'one']);
  expect({ accepted, needless }).toEqual({ accepted: [], needless: [] });
});

test('--accept goes on in spite of what it names, and tells a name that nobody found', () => {
  const examined = [finding('one', 'error'), finding('two', 'error'), finding('four', 'warning')];
  const { blocking, accepted, needless } = verdictOn([objection], examined, ['one', 'rest', 'four', 'six']);
  expect(blocking.map(({ check }) => check)).toEqual(['two']);
  expect(accepted.map(({ check }) => check)).toEqual(['rest', 'one']);
  expect(needless).toEqual(['four', 'six']);
});

test('A finding is told with its reason and its remedy, without what a terminal would obey', () => {
  expect(findingText({ ...finding('one', 'error'), seen: 'a\u001b[2Jb' })).toBe(
    'one: 10.0.0.1:6379: a\ufffd[2Jb: why. To put it right: fix',
  );
  expect(findingText({ ...finding('one', 'error'), why: undefined, fix: undefined })).toBe(
    'one: 10.0.0.1:6379: seen',
  );
});
