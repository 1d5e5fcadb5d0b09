/** The runs, and their order. */
import { subjectNamed } from "../subjects/index.mjs";
import { OURS, REPETITIONS_OF_OTHERS, WORKLOADS } from "./workloads.mjs";

/**
 * All runs. Repetitions are the outer loop, and each begins with another subject, so that a slow phase of the machine
 * affects all of them. Ratios are taken within a repetition.
 */
export async function planRuns({ workloads, runtimes, subjects, repetitions }) {
  const runs = [];
  for (let repetition = 0; repetition < repetitions; repetition++) {
    for (const name of workloads) {
      for (const runtime of runtimes) {
        const able = await subjectsFor(name, runtime, repetition, subjects);
        const { times = 1 } = WORKLOADS[name];
        for (let time = repetition * times; time < (repetition + 1) * times; time++) {
          for (const subject of rotated(able, time)) runs.push({ name, subject, runtime, repetition: time });
        }
      }
    }
  }
  return runs;
}

function rotated(subjects, by) {
  const turn = by % Math.max(1, subjects.length);
  return [...subjects.slice(turn), ...subjects.slice(0, turn)];
}

async function subjectsFor(name, runtime, repetition, wanted) {
  const { mode, against, others, runtimes: only = [runtime] } = WORKLOADS[name];
  if (!only.includes(runtime)) return [];
  const taking = [...OURS, ...against, ...(repetition < REPETITIONS_OF_OTHERS ? others : [])];
  const subjects = await Promise.all(taking.filter((one) => wanted?.includes(one) ?? true).map(subjectNamed));
  return subjects.filter(({ modes, runtimes }) => modes.includes(mode) && runtimes.includes(runtime));
}
