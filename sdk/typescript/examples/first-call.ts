/**
 * Gets a number, calls a simulated callee from it and tells how the call went.
 *
 *     OPENTACT_URL=https://127.0.0.1:8443 OPENTACT_TOKEN=... NODE_EXTRA_CA_CERTS=data/tls/ca.pem node dist/examples/first-call.js
 */

import { opentact, payload, type Schema } from "../src/index.js";

const { OPENTACT_URL: url = "https://127.0.0.1:8443", OPENTACT_TOKEN: token = "" } = process.env;
const client = opentact({ url, token });

const offers = await payload(client.POST("/rest/tn/search", { body: { country: "US", take: 1 } }));
const offer = offers.data[0];
if (offer === undefined) throw new Error("no number is for sale");

const items = [{ tn: offer.tn, features: ["voice" as const] }];
const order = await payload(client.POST("/rest/order", { body: { items } }));
await until(() => client.GET("/rest/order/{uuid}", { params: { path: { uuid: order.uuid } } }), (order) => order.state === "success");

const xml = "<Response><Answer/><Say>Hello from TypeScript</Say><Hangup/></Response>";
const { uuid } = await payload(client.POST("/rest/call", { body: { from: offer.tn, to: 12065550001, xml } }));
const call = await until(() => client.GET("/rest/call/{uuid}", { params: { path: { uuid } } }), (call) => call.state === "destroyed");
console.log(JSON.stringify({ tn: offer.tn, uuid, state: call.state, cause: call.q850_cause, steps: call.logs.map((log) => log.name) }));

type Answer<Data> = Promise<{ data?: { payload: Data }; error?: unknown; response: Response }>;

/** Asks four times a second until it is as wanted. */
async function until<Data>(ask: () => Answer<Data>, wanted: (data: Data) => boolean): Promise<Data> {
  for (;;) {
    const data = await payload(ask());
    if (wanted(data)) return data;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}
