// Who this replica is. DBOS recovers a workflow only where executor id and version are those that
// began it, so the id has to outlive the container: no two replicas may share it, and a recreated
// replica must get its old one back. A hostname fails the second half (Docker makes it from the
// container's id); the name Compose gives the container (PROJECT-app-1) has both.

import { Resolver } from "node:dns/promises";
import { hostname, networkInterfaces } from "node:os";

import { log } from "./log";

/** Docker's DNS server on every network but the default bridge: PTR answers CONTAINER.NETWORK. */
const DOCKER_DNS = "127.0.0.11";
const LOOKUP = { timeout: 1000, tries: 2 };

/** DBOS__VMID where it is set, else the container's name, else (with a warning) the hostname. */
export async function executorId(env: Record<string, string | undefined>): Promise<string> {
  const id = env.DBOS__VMID || (await containerName());
  if (id) return id;
  log.warn(
    "the executor id is only the hostname: once this container is recreated, nobody goes on with " +
      "its pending workflows; set DBOS__VMID, or use a network with Docker's DNS",
    { hostname: hostname() },
  );
  return hostname();
}

async function containerName(): Promise<string | undefined> {
  const resolver = new Resolver(LOOKUP);
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
