import type { Assignment, ErrorCode, RoundClosed, TaskId } from "@tributary/protocol";
import { ERROR_CODES, FederatedError, roundIdOf } from "@tributary/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";

import { DEADLINE_GRACE_MS, SWEEP_MS, transition } from "./participation-machine.ts";
import type {
  EventOf,
  Participation,
  ParticipationEffect,
  ParticipationEvent,
} from "./participation.ts";
import { startParticipation } from "./participation.ts";

const TASK = "t" as TaskId;

const place = (roundNumber: number, overrides: Partial<Assignment> = {}): Assignment => ({
  taskId: TASK,
  roundId: roundIdOf(TASK, roundNumber),
  roundNumber,
  plan: {
    epochs: 1,
    batchSize: 1,
    learningRate: 1,
    optimizer: { kind: "sgd" },
    proximalMu: 0,
    evaluate: false,
    encoding: { kind: "float32" },
    compression: "none",
  },
  checkpoint: {
    modelVersion: 0,
    digest: "0".repeat(64) as never,
    bytes: 1,
    url: "/c",
    signed: { manifest: "", publicKey: "" as never, signature: "" },
  },
  update: { url: "/u", token: "t", maxBytes: 1 },
  deadlineAt: "2030-01-01T00:00:00.000Z",
  timeLeftMs: 1000,
  reported: false,
  ...overrides,
});

const FRAME = new Uint8Array([1, 2, 3]);
const fault = (code: ErrorCode) => new FederatedError(code, "for the test");
const assigned = (assignment: Assignment): ParticipationEvent => ({ type: "assigned", assignment });
const answered = (assignment?: Assignment): ParticipationEvent => ({
  type: "checkedIn",
  assignment,
  taskPaused: false,
});
const closed = (roundNumber: number, outcome: RoundClosed["outcome"]): ParticipationEvent => ({
  type: "roundClosed",
  message: { taskId: TASK, roundId: roundIdOf(TASK, roundNumber), outcome } as RoundClosed,
});
const receipt = (status: "accepted" | "committed" = "accepted"): ParticipationEvent => ({
  type: "reported",
  receipt: { roundId: roundIdOf(TASK, 1), status, duplicate: false },
});
const trained: ParticipationEvent = { type: "trained", frame: FRAME };
const pausing = (update: EventOf<"pause">["update"] = "waits"): ParticipationEvent => ({
  type: "pause",
  update,
});
const lost: ParticipationEvent = { type: "disconnected" };
const back: ParticipationEvent = { type: "connected" };

/** Kind of the state, and effects of the last event, after these events; what is forgotten has rules of its own. */
function after(...events: ParticipationEvent[]): {
  state: Participation;
  kind: string;
  effects: string[];
  /** "all", or the rounds of which what is kept is deleted. */
  forgets: string[];
} {
  let state = startParticipation();
  let effects: readonly ParticipationEffect[] = [];
  for (const event of events) ({ state, effects } = transition(state, event));
  return {
    state,
    kind: state.kind,
    effects: effects.map(({ type }) => type).filter((type) => type !== "forget"),
    forgets: effects.flatMap((effect) =>
      effect.type === "forget" ? [effect.roundId ?? "all"] : [],
    ),
  };
}

const UNTIL = {
  checkingIn: [back],
  waiting: [back, answered()],
  training: [back, answered(), assigned(place(1))],
  reporting: [back, answered(), assigned(place(1)), trained],
  awaitingClose: [back, answered(), assigned(place(1)), trained, receipt()],
} satisfies Record<string, ParticipationEvent[]>;

test("[SDK10] a round goes from check-in to check-in", () => {
  expect(after(...UNTIL.checkingIn)).toMatchObject({ kind: "checkingIn", effects: ["checkIn"] });
  expect(after(...UNTIL.waiting)).toMatchObject({ kind: "waiting", effects: ["setAlarm"] });
  expect(after(...UNTIL.training)).toMatchObject({
    kind: "training",
    effects: ["work", "setAlarm"],
  });
  expect(after(...UNTIL.reporting)).toMatchObject({ kind: "reporting", effects: ["send"] });
  expect(after(...UNTIL.awaitingClose)).toMatchObject({
    kind: "awaitingClose",
    effects: ["tellReported", "setAlarm"],
  });
  expect(after(...UNTIL.awaitingClose, closed(1, "committed"))).toMatchObject({
    kind: "checkingIn",
    effects: ["tellClosed", "checkIn"],
  });
});

test("[SDK11] an assignment that comes twice does nothing the second time", () => {
  const early = [back, assigned(place(1))];
  expect(after(...early)).toMatchObject({ kind: "training", effects: ["work", "setAlarm"] });
  expect(after(...early, answered(place(1)))).toMatchObject({
    kind: "training",
    effects: ["setAlarm"],
  });
  // The answer to the check-in was written before the place was given, and came after it.
  expect(after(...early, answered())).toMatchObject({ kind: "training", effects: [] });
  expect(after(...UNTIL.training, assigned(place(1)))).toMatchObject({ effects: ["setAlarm"] });
});

test("[SDK12] after a reconnection in mid-training the same training goes on, if the place is still there", () => {
  const returned = [...UNTIL.training, lost, back];
  expect(after(...UNTIL.training, lost)).toMatchObject({ kind: "training", effects: [] });
  expect(after(...returned)).toMatchObject({ kind: "training", effects: ["checkIn"] });
  expect(after(...returned, answered(place(1)))).toMatchObject({
    kind: "training",
    effects: ["setAlarm"],
  });
  expect(after(...returned, answered())).toMatchObject({
    kind: "waiting",
    effects: ["stopWork", "setAlarm"],
  });
  expect(after(...returned, answered(place(2)))).toMatchObject({
    kind: "training",
    effects: ["stopWork", "work", "setAlarm"],
  });
});

test("[SDK13] an update that the coordinator lost is sent again, the same bytes", () => {
  const resumed = after(...UNTIL.awaitingClose, lost, back, answered(place(1, { timeLeftMs: 9 })));
  expect(resumed).toMatchObject({ kind: "reporting", effects: ["setAlarm", "send"] });
  expect(resumed.state).toMatchObject({ frame: FRAME, assignment: { timeLeftMs: 9 } });
  // Also without a reconnection: the coordinator had to load the round again.
  expect(after(...UNTIL.awaitingClose, assigned(place(1)))).toMatchObject({ kind: "reporting" });
});

test("[SDK13] an upload under way is never called off for a second one", () => {
  // The answer to the check-in crossed the upload: nothing was lost.
  const crossed = [...UNTIL.reporting, lost, back, answered(place(1))];
  expect(after(...crossed)).toMatchObject({ kind: "reporting", effects: ["setAlarm"] });
  expect(after(...crossed, receipt())).toMatchObject({ kind: "awaitingClose" });
  // The round was loaded again: the coordinator that gives this receipt may have forgotten it since.
  const reopened = place(1, { deadlineAt: "2030-01-01T00:00:05.000Z" });
  const again = [...UNTIL.reporting, lost, back, answered(reopened)];
  expect(after(...again)).toMatchObject({ kind: "reporting", effects: ["setAlarm"] });
  expect(after(...again, receipt())).toMatchObject({ kind: "reporting", effects: ["send"] });
  expect(after(...again, receipt(), receipt())).toMatchObject({
    kind: "awaitingClose",
    effects: ["tellReported", "setAlarm"],
  });
});

test("[SDK13] an update that is counted is waited for and not made or sent again", () => {
  const counted = place(1, { reported: true });
  expect(after(back, answered(counted))).toMatchObject({ kind: "awaitingClose" });
  expect(after(...UNTIL.awaitingClose, lost, back, answered(counted))).toMatchObject({
    kind: "awaitingClose",
    effects: [],
  });
  expect(after(...UNTIL.training, lost, back, answered(counted))).toMatchObject({
    kind: "awaitingClose",
    effects: ["stopWork", "setAlarm"],
  });
  // Another process made it, so these bytes are not here: only training can make new ones.
  expect(after(back, answered(counted), assigned(place(1)))).toMatchObject({ kind: "training" });
});

test("[SDK14] a newer round ends the work for the older one, an older one changes nothing", () => {
  for (const until of [UNTIL.training, UNTIL.reporting, UNTIL.awaitingClose]) {
    const newer = after(...until, assigned(place(2)));
    expect(newer.kind).toBe("training");
    expect(newer.effects.at(-2)).toBe("work");
    expect(after(...until.slice(0, 2), assigned(place(3)), assigned(place(2)))).toMatchObject({
      state: { assignment: { roundNumber: 3 } },
      effects: [],
    });
  }
});

test("[SDK15] the end of the round calls off training and sending, and the client checks in again", () => {
  for (const outcome of ["committed", "abandoned", "reportsClosed"] as const) {
    expect(after(...UNTIL.training, closed(1, outcome))).toMatchObject({
      kind: "checkingIn",
      effects: ["stopWork", "tellClosed", "checkIn"],
    });
    expect(after(...UNTIL.training, closed(2, outcome))).toMatchObject({ kind: "training" });
  }
  for (const outcome of ["abandoned", "reportsClosed"] as const) {
    expect(after(...UNTIL.reporting, closed(1, outcome))).toMatchObject({
      kind: "checkingIn",
      effects: ["stopWork", "tellClosed", "checkIn"],
    });
  }
});

test("[SDK16] a commit that overtakes the receipt does not cost the receipt", () => {
  const overtaken = [...UNTIL.reporting, closed(1, "committed")];
  expect(after(...overtaken)).toMatchObject({ kind: "reporting", effects: ["tellClosed"] });
  expect(after(...overtaken, receipt())).toMatchObject({
    kind: "checkingIn",
    effects: ["tellReported", "checkIn"],
  });
  expect(after(...UNTIL.reporting, receipt("committed"))).toMatchObject({ kind: "checkingIn" });
  expect(after(...UNTIL.reporting, lost, back, answered(), receipt("committed"))).toMatchObject({
    kind: "checkingIn",
    effects: ["tellReported", "checkIn"],
  });
});

test("[SDK17] a deadline that passes ends the work a little later than the coordinator would", () => {
  const { state } = after(...UNTIL.waiting);
  const { effects } = transition(state, assigned(place(1, { timeLeftMs: 5000 })));
  expect(effects).toContainEqual({ type: "setAlarm", delayMs: 5000 + DEADLINE_GRACE_MS });
  expect(after(...UNTIL.training, { type: "alarm" })).toMatchObject({
    kind: "checkingIn",
    effects: ["stopWork", "tellError", "checkIn"],
  });
  expect(after(...UNTIL.reporting, { type: "alarm" })).toMatchObject({
    kind: "awaitingClose",
    effects: ["stopWork", "tellError", "checkIn", "setAlarm"],
  });
});

test("[CH20] a finished update outlives its deadline until the coordinator says what became of the round", () => {
  const late = [...UNTIL.reporting, { type: "alarm" } as const];
  expect(after(...late, answered())).toMatchObject({ kind: "waiting" });
  const again = after(...late, answered(place(1)));
  expect(again).toMatchObject({ kind: "reporting", effects: ["setAlarm", "send"] });
  expect(again.state).toMatchObject({ frame: FRAME });
  // The coordinator was away for longer than its deadline, and opens the round again.
  const away = [...UNTIL.reporting, lost, { type: "alarm" } as const];
  expect(after(...away)).toMatchObject({ kind: "awaitingClose" });
  expect(after(...away, back, answered(place(1))).state).toMatchObject({
    kind: "reporting",
    frame: FRAME,
  });
  expect(after(...away, back, answered(place(2)))).toMatchObject({ kind: "training" });
});

test("[SDK18] who waits for a message asks again after a while, in case it was lost", () => {
  for (const until of [UNTIL.waiting, UNTIL.awaitingClose]) {
    const { state } = after(...until);
    expect(transition(state, { type: "alarm" }).effects).toEqual([
      { type: "checkIn" },
      { type: "setAlarm", delayMs: SWEEP_MS },
    ]);
  }
  expect(after(...UNTIL.awaitingClose, { type: "alarm" }, answered())).toMatchObject({
    kind: "waiting",
  });
});

test("[SDK19] declining tells the coordinator and waits for the next round", () => {
  expect(after(...UNTIL.training, { type: "declined" })).toMatchObject({
    kind: "checkingIn",
    effects: ["decline", "checkIn"],
  });
});

test("[SDK20] retryable errors are waited out, longer each time; hopeless ones end the participation", () => {
  const unavailable = new FederatedError("UNAVAILABLE", "x", { retryAfterMs: 70 });
  let { state } = after(back);
  for (const failures of [1, 2, 3]) {
    const failed = transition(state, { type: "checkInFailed", error: unavailable });
    expect(failed.state).toEqual({ kind: "backingOff", failures, connected: true });
    expect(failed.effects.at(-1)).toEqual({ type: "backOff", failures, retryAfterMs: 70 });
    state = transition(failed.state, { type: "alarm" }).state;
    expect(state.kind).toBe("checkingIn");
  }
  for (const code of [
    "TASK_NOT_FOUND",
    "UNAUTHENTICATED",
    "PROTOCOL_VERSION_UNSUPPORTED",
  ] as const) {
    const step = after(back, { type: "checkInFailed", error: fault(code) });
    expect(step.state).toMatchObject({ kind: "ended", end: { reason: "failed", error: { code } } });
  }
  for (const details of [{}, { endReason: "targetReached" }] as const) {
    const error = new FederatedError("TASK_ENDED", "x", { details });
    expect(after(back, { type: "checkInFailed", error }).state).toEqual({
      kind: "ended",
      end: { reason: "taskEnded", ...details },
    });
  }
});

test("[SDK21] a failed training gives the place back and backs off; a counted update forgives it", () => {
  const failed = [
    ...UNTIL.training,
    { type: "workFailed", error: fault("INTERNAL") },
  ] satisfies ParticipationEvent[];
  expect(after(...failed)).toMatchObject({
    kind: "backingOff",
    effects: ["decline", "tellError", "backOff"],
  });
  const again = [...failed, { type: "alarm" } as const, assigned(place(2)), trained];
  expect(after(...again).state).toMatchObject({ failures: 1 });
  expect(after(...again, receipt()).state).toMatchObject({ kind: "awaitingClose", failures: 0 });
});

test("[SDK21] an update that came too late costs nothing but the round", () => {
  for (const code of ["ROUND_CLOSED", "NOT_IN_COHORT", "UPDATE_CONFLICT"] as const) {
    expect(after(...UNTIL.reporting, { type: "workFailed", error: fault(code) })).toMatchObject({
      kind: "checkingIn",
      effects: ["tellError", "checkIn"],
    });
  }
});

test("[SDK22] pause and leave call work off and take leave; resume checks in again", () => {
  for (const until of [UNTIL.training, UNTIL.reporting]) {
    expect(after(...until, pausing())).toMatchObject({
      kind: "paused",
      effects: ["stopWork", "leave"],
    });
    expect(after(...until, { type: "leave", reason: "left" })).toMatchObject({
      state: { kind: "ended", end: { reason: "left" } },
      effects: ["stopWork", "leave"],
    });
  }
  const paused = [...UNTIL.training, pausing()] satisfies ParticipationEvent[];
  expect(after(...paused, assigned(place(2)))).toMatchObject({
    kind: "paused",
    effects: ["decline"],
  });
  expect(after(...paused, { type: "resume" })).toMatchObject({ effects: ["checkIn"] });
  expect(after(...paused, lost, { type: "resume" })).toMatchObject({ kind: "idle" });
});

test("[SDK23] the end of the task ends the participation in every state", () => {
  for (const until of Object.values(UNTIL)) {
    const step = after(...until, { type: "taskEnded", endReason: "cancelled" });
    expect(step.state).toEqual({
      kind: "ended",
      end: { reason: "taskEnded", endReason: "cancelled" },
    });
    const works = until === UNTIL.training || until === UNTIL.reporting;
    expect(step.effects).toEqual(works ? ["stopWork"] : []);
  }
});

test("[KU3] an upload under way ends before a pause that lets it, and then nothing begins", () => {
  const uploading = [...UNTIL.reporting, pausing("maySend")];
  expect(after(...uploading)).toMatchObject({ kind: "reporting", effects: [] });
  expect(after(...uploading, receipt())).toMatchObject({
    kind: "paused",
    effects: ["tellReported", "leave"],
  });
  expect(after(...uploading, closed(1, "abandoned"))).toMatchObject({
    kind: "paused",
    effects: ["stopWork", "tellClosed", "leave"],
  });
  expect(after(...uploading, assigned(place(2)))).toMatchObject({
    kind: "paused",
    effects: ["stopWork", "leave"],
  });
  expect(after(...uploading, { type: "alarm" })).toMatchObject({
    kind: "paused",
    effects: ["stopWork", "tellError", "leave"],
  });
  // A round that was opened again wants the bytes once more, pause or not.
  const reopened = place(1, { deadlineAt: "2030-01-01T00:00:05.000Z" });
  const again = [...uploading, lost, back, answered(reopened), receipt()];
  expect(after(...again)).toMatchObject({ kind: "reporting", effects: ["send"] });
  expect(after(...again, receipt())).toMatchObject({ kind: "paused" });
  // Whoever may train again in time goes on as if nothing had been.
  expect(after(...uploading, { type: "resume" }, receipt())).toMatchObject({
    kind: "awaitingClose",
  });
});

test("[KU3] an upload stops at once for a pause that does not wait, also one that comes second", () => {
  for (const until of [UNTIL.reporting, [...UNTIL.reporting, pausing("maySend")]]) {
    expect(after(...until, pausing())).toMatchObject({
      kind: "paused",
      effects: ["stopWork", "leave"],
    });
  }
  // Training is no upload.
  expect(after(...UNTIL.training, pausing("maySend"))).toMatchObject({
    kind: "paused",
    effects: ["stopWork", "leave"],
  });
});

test("[KU5] what is kept is forgotten as soon as its round has it, is over, or is given up", () => {
  const [own, all] = [[roundIdOf(TASK, 1)], ["all"]];
  for (const until of Object.values(UNTIL)) {
    for (const outcome of ["committed", "abandoned", "reportsClosed"] as const) {
      expect(after(...until, closed(1, outcome)).forgets).toEqual(own);
    }
    expect(after(...until, { type: "taskEnded", endReason: "cancelled" }).forgets).toEqual(all);
    expect(after(...until, { type: "leave", reason: "left" }).forgets).toEqual(all);
    // What a client that is closed has kept is for its next start.
    expect(after(...until, { type: "leave", reason: "closed" }).forgets).toEqual([]);
  }
  expect(after(back, answered()).forgets).toEqual(all);
  expect(after(...UNTIL.awaitingClose, answered()).forgets).toEqual(all);
  expect(after(...UNTIL.training, { type: "declined" }).forgets).toEqual(own);
  expect(after(...UNTIL.reporting, receipt("committed")).forgets).toEqual(own);
  expect(after(...UNTIL.reporting, lost, back, answered(), receipt("accepted")).forgets).toEqual(
    own,
  );
  for (const code of ["ROUND_CLOSED", "UPDATE_NOT_FINITE"] as const) {
    expect(after(...UNTIL.reporting, { type: "workFailed", error: fault(code) }).forgets).toEqual(
      own,
    );
  }
  const ended = new FederatedError("TASK_ENDED", "x");
  expect(after(back, { type: "checkInFailed", error: ended }).forgets).toEqual(all);
});

test("[KU4] what is kept stays while its round may still ask for it", () => {
  for (const event of [
    receipt(),
    lost,
    { type: "alarm" },
    pausing(),
    pausing("maySend"),
  ] as const) {
    expect(after(...UNTIL.reporting, event).forgets).toEqual([]);
  }
  const late = fault("UNAVAILABLE");
  expect(after(...UNTIL.awaitingClose, { type: "checkInFailed", error: late }).forgets).toEqual([]);
  expect(after(...UNTIL.awaitingClose, lost, back, answered(place(1))).forgets).toEqual([]);
});

test("[KU11] an upload that another tab's took the place of leaves place and bytes to it", () => {
  const overtaken: ParticipationEvent = { type: "overtaken" };
  expect(after(...UNTIL.reporting, overtaken)).toMatchObject({
    state: { kind: "awaitingClose", frame: FRAME },
    effects: ["setAlarm"],
    forgets: [],
  });
  expect(after(...UNTIL.reporting, pausing("maySend"), overtaken)).toMatchObject({
    kind: "paused",
    effects: ["leave"],
    forgets: [],
  });
  expect(after(...UNTIL.reporting, closed(1, "committed"), overtaken).kind).toBe("checkingIn");
});

test("[KU11] a tab that leaves while another one has the turn deletes nothing of that one's", () => {
  const leaves: ParticipationEvent = { type: "leave", reason: "left", goesOnElsewhere: true };
  for (const until of Object.values(UNTIL)) {
    expect(after(...until, pausing("maySend"), leaves)).toMatchObject({
      kind: "ended",
      forgets: [],
    });
  }
});

test("[KU8] a pause without consent forgets, whatever the state, also when the client is paused already", () => {
  for (const until of Object.values(UNTIL)) {
    for (const before of [[], [pausing()], [pausing("maySend")]]) {
      const step = after(...until, ...before, pausing("forgotten"));
      expect(step).toMatchObject({ kind: "paused", forgets: ["all"] });
    }
  }
});

const someEvent: fc.Arbitrary<ParticipationEvent> = fc.oneof(
  fc.constant(back),
  fc.constant(lost),
  fc.constant(answered()),
  fc.constant(trained),
  fc.constant(receipt()),
  fc.constant<ParticipationEvent>({ type: "declined" }),
  fc.constant<ParticipationEvent>({ type: "overtaken" }),
  fc.constant<ParticipationEvent>({ type: "alarm" }),
  fc.constantFrom("maySend", "waits", "forgotten" as const).map(pausing),
  fc.constant<ParticipationEvent>({ type: "resume" }),
  fc.boolean().map((paused): ParticipationEvent => ({ type: "taskPaused", paused })),
  fc
    .tuple(fc.integer({ min: 1, max: 3 }), fc.boolean(), fc.boolean())
    .map(([round, reported, byAnswer]) =>
      (byAnswer ? answered : assigned)(place(round, { reported })),
    ),
  fc
    .tuple(
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom("committed", "abandoned", "reportsClosed" as const),
    )
    .map(([round, outcome]) => closed(round, outcome)),
  fc
    .tuple(fc.constantFrom("checkInFailed", "workFailed" as const), fc.constantFrom(...ERROR_CODES))
    .map(([type, code]) => ({ type, error: fault(code) })),
);

/** Chance alone seldom comes as far as an upload. */
const someHistory = fc
  .tuple(
    fc.constantFrom<ParticipationEvent[]>([], ...Object.values(UNTIL)),
    fc.array(someEvent, { maxLength: 60 }),
  )
  .map(([before, events]) => [...before, ...events]);

test("[SDK24] whatever comes in whatever order: at most one work, and no state that waits for ever", () => {
  fc.assert(
    fc.property(someHistory, fc.boolean(), (events, startsPaused) => {
      let state = startParticipation(startsPaused);
      let paused = startsPaused;
      let connected = false;
      let working = false;
      let alarm = false;
      for (const event of events) {
        // What a session and a shell can deliver at this moment.
        if (event.type === "connected" ? connected : event.type === "disconnected" && !connected) {
          continue;
        }
        const needsConnection = ["checkedIn", "assigned", "roundClosed", "taskPaused"];
        if (!connected && needsConnection.includes(event.type)) continue;
        const results = ["trained", "reported", "overtaken", "declined", "workFailed"];
        const isResult = results.includes(event.type);
        if (isResult && !working) continue;
        if (event.type === "trained" && state.kind !== "training") continue;
        if (event.type === "declined" && state.kind !== "training") continue;
        const isOfUpload = event.type === "reported" || event.type === "overtaken";
        if (isOfUpload && state.kind !== "reporting") continue;
        if (event.type === "alarm" && !alarm) continue;
        if (event.type === "connected") connected = true;
        if (event.type === "disconnected") connected = false;
        if (event.type === "alarm") alarm = false;
        if (isResult) working = false;

        if (event.type === "pause") paused = true;
        if (event.type === "resume") paused = false;

        const wasEnded = state.kind === "ended";
        const wasReporting = state.kind === "reporting";
        const step = transition(state, event);
        state = step.state;
        for (const { type } of step.effects) {
          expect(wasEnded).toBe(false);
          if (type === "work" || type === "send") {
            expect(working).toBe(false);
            working = true;
          }
          // [KU3] A client that is paused begins nothing, and at most ends its upload.
          if (paused) expect(type).not.toBe("work");
          if (paused && (type === "checkIn" || type === "send")) expect(wasReporting).toBe(true);
          if (type === "stopWork") working = false;
          if (type === "setAlarm" || type === "backOff") alarm = true;
          if (type === "checkIn") expect(connected).toBe(true);
        }
        if (paused) expect(["paused", "ended", "reporting"]).toContain(state.kind);
        if (event.type === "pause" && event.update === "forgotten" && !wasEnded) {
          expect(step.effects).toContainEqual({ type: "forget" });
          expect(state.kind).toBe("paused");
        }
        expect(working).toBe(state.kind === "training" || state.kind === "reporting");
        const waits = ["waiting", "training", "reporting", "awaitingClose", "backingOff"];
        if (waits.includes(state.kind)) expect(alarm).toBe(true);
        if (state.kind === "checkingIn" || state.kind === "waiting") expect(connected).toBe(true);
        if (state.kind === "idle") expect(connected).toBe(false);
      }
    }),
    { numRuns: 3000 },
  );
});
