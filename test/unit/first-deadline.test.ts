// One timer for many deadlines: it fires at the first of them, again at the next one, and never for what is over.
import { describe, expect, test } from 'vitest';
import { FirstDeadline } from '../../src/domain/first-deadline.ts';
import { ManualClock } from '../support/manual-clock.ts';

class Waiting {
  readonly clock = new ManualClock();
  readonly ended: number[] = [];
  readonly #startMs = this.clock.monotonicMs();
  readonly #deadlines = new FirstDeadline(this.clock, (nowMs) => this.#look(nowMs));
  #open: number[] = [];

  add(...inMs: number[]): void {
    for (const deadlineMs of inMs.map((ms) => this.#startMs + ms)) {
      this.#open.push(deadlineMs);
      this.#deadlines.add(deadlineMs);
    }
  }

  over(inMs: number): void {
    this.#open = this.#open.filter((deadlineMs) => deadlineMs !== this.#startMs + inMs);
  }

  #look(nowMs: number): number {
    this.ended.push(...this.#open.filter((ms) => ms <= nowMs).map((ms) => ms - this.#startMs));
    this.#open = this.#open.filter((ms) => ms > nowMs);
    return Math.min(Number.POSITIVE_INFINITY, ...this.#open);
  }
}

describe('the first of many deadlines', () => {
  test('each is looked at when it is due, in whatever order they came', () => {
    const waiting = new Waiting();
    waiting.add(300, 100, 200);
    waiting.clock.advance(99);
    expect(waiting.ended).toEqual([]);
    waiting.clock.advance(1);
    expect(waiting.ended).toEqual([100]);
    waiting.clock.advance(200);
    expect(waiting.ended).toEqual([100, 200, 300]);
  });

  test('one timer is set for all, also after the first was over long before', () => {
    const waiting = new Waiting();
    waiting.add(100, 200, 300, 400);
    expect(waiting.clock.timers).toBe(1);
    waiting.over(100);
    waiting.over(200);
    waiting.clock.advance(100);
    expect(waiting.ended).toEqual([]);
    expect(waiting.clock.timers).toBe(1);
    waiting.clock.advance(200);
    expect(waiting.ended).toEqual([300]);
  });

  test('no timer is left when all are over', () => {
    const waiting = new Waiting();
    waiting.add(100);
    waiting.clock.advance(100);
    expect(waiting.clock.timers).toBe(0);
    waiting.add(150);
    waiting.clock.advance(50);
    expect(waiting.ended).toEqual([100, 150]);
  });
});
