/**
 * The evaluation of raw benchmark results: a sum that reveals damage, ratios within a repetition, verdicts.
 *
 * @node Each runtime would read the same files.
 */
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const lib = join(import.meta.dirname, "../../bench/lib");
const { crc32c, share, sumOf } = await import(join(lib, "checksum.mjs"));
const { Results } = await import(join(lib, "results.mjs"));
const { judge, TARGETS } = await import(join(lib, "targets.mjs"));

type Row = { subject: string; repetition: number; seconds: number; runtime?: string; ok?: boolean };

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("the checksum", () => {
  it("is CRC-32C, also over parts", () => {
    expect(crc32c(bytes("123456789"))).toBe(0xe3069283);
    expect(crc32c(bytes("56789"), crc32c(bytes("1234")))).toBe(0xe3069283);
    expect(crc32c(bytes("123456789".repeat(9)))).toBe(
      crc32c(bytes("9"), crc32c(bytes("123456789".repeat(9).slice(0, -1)))),
    );
  });

  it("sums up messages in any order, and differs when one is doubled, lost or damaged", () => {
    const [a, b] = ["first", "second"].map((text) => share(crc32c(bytes(text)), text.length));
    const whole = sumOf([a, b]);
    expect(sumOf([b, a])).toBe(whole);
    for (const damaged of [[a], [a, a], [a, b, b], [a, share(crc32c(bytes("secone")), 6)]]) {
      expect(sumOf(damaged)).not.toBe(whole);
    }
  });
});

describe("results", () => {
  it("compare within a repetition, so that a slow spell of the machine changes no ratio", () => {
    const rows = [1, 10, 3].flatMap((slow, repetition) => [
      { subject: "smtplib", repetition, seconds: slow },
      { subject: "nodemailer", repetition, seconds: slow * 2 },
    ]);
    expect(ratio(of(run("2026-01-01", rows)))).toMatchObject({ count: 3, median: 2, extremes: [2, 2] });
  });

  it("count no run that did not deliver everything", () => {
    const results = of(
      run("2026-01-01", [
        { subject: "smtplib", repetition: 0, seconds: 1 },
        { subject: "nodemailer", repetition: 0, seconds: 2 },
        { subject: "smtplib", repetition: 1, seconds: 0.001, ok: false },
        { subject: "nodemailer", repetition: 1, seconds: 2 },
      ]),
    );
    expect(ratio(results)).toMatchObject({ count: 1, median: 2 });
    expect(results.failed).toHaveLength(1);
  });

  it("are of the newest run that has the workload on the runtime, and of older ones where it has not", () => {
    const older = run("2026-01-01", [
      { subject: "smtplib", repetition: 0, seconds: 1 },
      { subject: "smtplib", repetition: 0, seconds: 3, runtime: "bun" },
    ]);
    const newer = run("2026-01-02", [{ subject: "smtplib", repetition: 0, seconds: 2 }]);
    const results = of(older, newer);
    const seconds = (runtime: string) => results.of("M1", runtime, "smtplib").map((row: Row) => row.seconds);
    expect([seconds("node"), seconds("bun")]).toEqual([[2], [3]]);
    expect(results.runs).toHaveLength(2);
  });
});

describe("a target", () => {
  const target = TARGETS.find(
    ({ workload, against }: { workload: string; against: string }) => workload === "M1" && against,
  );

  it("passes or fails by the median, or was not measured", () => {
    const measured = (ours: number) =>
      of(
        run("2026-01-01", [
          { subject: "smtplib", repetition: 0, seconds: ours },
          { subject: "raw-pipelined", repetition: 0, seconds: 1 },
        ]),
      );
    expect(target).toMatchObject({ against: "raw-pipelined", least: 0.95 });
    expect(judge(target, "node", measured(1.05)).passed).toBe(true);
    expect(judge(target, "node", measured(1.06)).passed).toBe(false);
    expect(judge(target, "bun", measured(1.05)).measured).toBeUndefined();
  });

  it("is missing for no workload that it speaks of", async () => {
    const { WORKLOADS } = await import(join(lib, "workloads.mjs"));
    const spokenOf = TARGETS.map(({ workload }: { workload: string }) => workload);
    expect([...new Set(spokenOf)].sort()).toEqual(Object.keys(WORKLOADS).sort());
  });
});

function run(date: string, rows: readonly Row[]) {
  const complete = rows.map((row) => ({ workload: "M1", runtime: "node", ok: true, ...row }));
  return { circumstances: { date }, rows: complete };
}

function of(...files: ReturnType<typeof run>[]) {
  return new Results(files);
}

function ratio(results: ReturnType<typeof of>) {
  const speed = ({ seconds }: Row): number => 1 / seconds;
  return results.compared("M1", "node", "smtplib", "nodemailer", speed, (a: number, b: number) => a / b);
}
