/** What a crowd is told, and answers, over its IPC channel. */

/** To a crowd. Instants are of the machine's monotonic clock, which is one for all processes: nanoseconds. */
export type CrowdOrder =
  /** `perSource` connections from each address of 127.0.0.0/8 from `firstSource` on. */
  | {
      readonly do: "connect";
      readonly url: string;
      readonly clients: number;
      readonly firstSource: number;
      readonly perSource: number;
    }
  /** Every client checks in, all at once, and waits for its answer. */
  | { readonly do: "checkIn"; readonly taskId: string }
  /** Waits until every client has been told its place in the task's round. */
  | { readonly do: "assigned"; readonly taskId: string };

export interface CrowdAnswer {
  /** The order was carried out by so many clients. */
  readonly clients: number;
  readonly failures: number;
  /** The first of them began, and the last one was done. */
  readonly beganNs: string;
  readonly doneNs: string;
  /** Received since the order before. */
  readonly bytes: number;
}
