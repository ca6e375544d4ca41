// Who this replica is. DBOS goes on with a workflow only where executor id and version are those that
// began it, so the id has to outlive the container, and no two replicas may share one. A hostname does
// not outlive it (Docker makes it from the container's id). The name that Compose gives the container
// does (PROJECT-app-1), under whichever runtime it is started. The container finds it by asking
// Docker's DNS for the name of its own address.

import { Resolver } from "node:dns/promises";
import { networkInterfaces } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

/** Docker's DNS server on every network but the default bridge: PTR answers CONTAINER.NETWORK. */
const DOCKER_DNS = "127.0.0.11";
const TRIES = 5;
const PAUSE_MS = 500;

/**
 * DBOS__VMID where it is set, else the container's name. Throws where there is neither: with an id
 * that dies with the container, the work it holds would be nobody's, and no error would say so.
 */
export async function executorId(env: Record<string, string | undefined>): Promise<string> {
  if (env.DBOS__VMID) return env.DBOS__VMID;
  for (let tries = 1; tries <= TRIES; tries++) {
    const name = await containerName();
    if (name) return name;
    if (tries < TRIES) await sleep(PAUSE_MS);
  }
  throw new Error(
    "no stable executor id: Docker's DNS names no container for this address; " +
      "use a network of the Compose project's own, or set DBOS__VMID to a name that no other replica has",
  );
}

async function containerName(): Promise<string | undefined> {
  const resolver = new Resolver({ timeout: 1000, tries: 2 });
  resolver.setServers([DOCKER_DNS]);
  for (const address of ownAddresses()) {
    // resolvePtr, for Bun 1.4.4's reverse() answers [] to the same question.
    const names = await resolver.resolvePtr(reverseName(address)).catch(() => []);
    // Neither Compose's project names nor this service's have a dot: what follows is the network.
    const container = names[0]?.split(".")[0];
    if (container) return container;
  }
  return undefined;
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter((address) => address.family === "IPv4" && !address.internal)
    .map((address) => address.address);
}

function reverseName(address: string): string {
  return `${address.split(".").reverse().join(".")}.in-addr.arpa`;
}
