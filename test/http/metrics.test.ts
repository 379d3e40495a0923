/** Metrics in Prometheus' text format. */
import { expect, test } from "vitest";
import { Histogram, labels, metric } from "../../src/http/metrics.js";

test("metrics have a help line, a type, and escaped labels", () => {
  const waits = new Histogram([0.1, 1]);
  for (const seconds of [0.05, 0.1, 7.35]) waits.add(seconds);
  const metrics = [
    metric("gauge", "room_people", "People.", 3),
    metric("counter", "room_posts_total", "Posts.", labels("outcome", { kept: 2, 'a "b"\\\n': 0 })),
    metric("histogram", "room_wait_seconds", "Waits.", waits.samples),
  ];
  expect(metrics.join("")).toBe(`# HELP room_people People.
# TYPE room_people gauge
room_people 3
# HELP room_posts_total Posts.
# TYPE room_posts_total counter
room_posts_total{outcome="kept"} 2
room_posts_total{outcome="a \\"b\\"\\\\\\n"} 0
# HELP room_wait_seconds Waits.
# TYPE room_wait_seconds histogram
room_wait_seconds_bucket{le="0.1"} 2
room_wait_seconds_bucket{le="1"} 2
room_wait_seconds_bucket{le="+Inf"} 3
room_wait_seconds_sum 7.5
room_wait_seconds_count 3
`);
});
