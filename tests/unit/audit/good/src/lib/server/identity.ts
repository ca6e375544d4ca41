import { Resolver } from "node:dns/promises";

/** The container's name, which Compose keeps: Docker's DNS answers it for the own address. */
export async function containerName(): Promise<string> {
  const names = await new Resolver().resolvePtr("2.0.18.172.in-addr.arpa");
  return names[0].split(".")[0];
}
