/** What has really left this page, update by update. */

import { CLIPPING_NORM } from "../../src/task.ts";
import type { Contribution } from "./contributions.ts";

/** The rest is of no interest, and long. */
const SHOWN = 5;

export function SentTable({ contributions }: { contributions: readonly Contribution[] }) {
  return (
    <div className="sent">
      <h3>What was sent</h3>
      {contributions.length === 0 ? (
        <p className="quiet">Nothing so far.</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">Round</th>
              <th scope="col">Bytes</th>
              <th scope="col">Digits</th>
              <th scope="col">Change</th>
              <th scope="col">Result</th>
            </tr>
          </thead>
          <tbody>
            {contributions.slice(0, SHOWN).map((sent) => (
              <tr key={sent.roundId}>
                <td>{sent.roundNumber}</td>
                <td>{sent.bytes.toLocaleString("en")}</td>
                <td>{sent.numExamples}</td>
                <td>{sent.norm.toFixed(2)}</td>
                <td className={sent.status}>{fateOf(sent)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <p className="quiet">
        Digits: how many you have drawn, and nothing else of them. Change: how far the model’s
        numbers moved, cut to at most {CLIPPING_NORM}. The drawings themselves were never sent.
      </p>
    </div>
  );
}

function fateOf({ status, modelVersion }: Contribution): string {
  switch (status) {
    case "sent":
      return "sent";
    case "counted":
      return "counted";
    case "committed":
      return `in version ${modelVersion ?? "?"}`;
    case "lost":
      return "not used";
  }
}
