/** The REST API of Opentact: every path, body and answer is typed by the OpenAPI document of the server. */

import createFetchClient, { type Client, type ClientOptions } from "openapi-fetch";
import type { components, paths } from "./schema.js";

export type { components, operations, paths } from "./schema.js";

/** An object of the API by its name in the document: `Schema<"Call">`. */
export type Schema<Name extends keyof components["schemas"]> = components["schemas"][Name];

/** One of the three is needed; a token is what a program should have. */
export type Credentials =
  | { token: string }
  | { jwt: string }
  | { email: string; password: string };

export type Options = Credentials & {
  /** Where the server is: `https://opentact.example`. */
  url: string;
  /** Instead of the runtime's own. */
  fetch?: ClientOptions["fetch"];
};

export type Opentact = Client<paths, "application/json">;

/** A client of one account. */
export function opentact(options: Options): Opentact {
  const { url: baseUrl, fetch } = options;
  const headers = { Authorization: authorization(options) };
  return createFetchClient<paths, "application/json">({ baseUrl, headers, ...(fetch && { fetch }) });
}

function authorization(credentials: Credentials): string {
  if ("token" in credentials) return `Bearer ${credentials.token}`;
  if ("jwt" in credentials) return `Bearer ${credentials.jwt}`;
  const octets = new TextEncoder().encode(`${credentials.email}:${credentials.password}`);
  return `Basic ${btoa(String.fromCharCode(...octets))}`;
}

/** What the server refused. */
export class OpentactError extends Error {
  override readonly name = "OpentactError";

  constructor(
    /** HTTP status. */
    readonly status: number,
    /** What the server says of it: `code`, and in `fields` which were wrong and why. Without one the answer was not the server's. */
    readonly error: Schema<"Error"> | undefined,
  ) {
    super(error?.message ?? `HTTP ${status}`);
  }
}

type Answer<Data> = { data?: Data; error?: unknown; response: Response };

/**
 * The payload of an answer; throws {@link OpentactError} where the server refused.
 *
 * ```ts
 * const call = await payload(client.POST("/rest/call", { body: { to: 12065550001, from, xml } }));
 * ```
 */
export async function payload<Data extends { payload: unknown }>(answer: Promise<Answer<Data>>): Promise<Data["payload"]> {
  const { data, error, response } = await answer;
  if (data !== undefined) return data.payload;
  throw new OpentactError(response.status, isError(error) ? error : undefined);
}

function isError(value: unknown): value is Schema<"Error"> {
  return typeof value === "object" && value !== null && "message" in value && "status" in value;
}
