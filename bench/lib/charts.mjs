/** A chart for each workload, with the results of each client on each runtime. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { init } from "echarts";
import { SUBJECTS } from "../subjects/index.mjs";
import { BENCH } from "./paths.mjs";
import { inUnit } from "./results.mjs";
import { RUNTIMES, WORKLOADS } from "./workloads.mjs";

const SIZE = { width: 860, height: 420 };

/** This client, the peers and the bare sockets have different hues. */
const COLORS = {
  smtplib: "#1565c0",
  "smtplib-chunking": "#42a5f5",
  "smtplib-eager": "#0d2b66",
  nodemailer: "#e65100",
  "nodemailer-pool": "#ff9800",
  upyo: "#fbc02d",
  emailjs: "#8d6e63",
  "raw-lockstep": "#cfd8dc",
  "raw-pipelined": "#90a4ae",
  "raw-bdat": "#546e7a",
};

/** Draws a workload's chart and returns its path from bench/. */
export function drawChart(name, results) {
  const { title, unit } = WORKLOADS[name];
  const medianOf = (runtime, subject) => results.spread(name, runtime, subject, inUnit)?.median ?? null;
  const measured = SUBJECTS.filter((subject) => RUNTIMES.some((runtime) => medianOf(runtime, subject) !== null));
  const chart = init(null, null, { renderer: "svg", ssr: true, ...SIZE });
  chart.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    title: { text: `${name}: ${title}`, left: "center", textStyle: { fontSize: 14 } },
    legend: { bottom: 0, itemWidth: 14, itemGap: 28 },
    grid: { left: 80, right: 20, top: 50, bottom: 90 },
    xAxis: { type: "category", data: RUNTIMES },
    yAxis: { type: "value", name: unit === "ms" ? "ms, less is better" : unit },
    series: measured.map((subject) => ({
      name: subject,
      type: "bar",
      barGap: "5%",
      color: COLORS[subject],
      data: RUNTIMES.map((runtime) => medianOf(runtime, subject)),
    })),
  });
  mkdirSync(join(BENCH, "charts"), { recursive: true });
  writeFileSync(join(BENCH, "charts", `${name}.svg`), `${chart.renderToSVGString()}\n`);
  chart.dispose();
  return `charts/${name}.svg`;
}
