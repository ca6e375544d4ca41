import type { Replica } from "#lib/server/replica.ts";

declare global {
  namespace App {
    interface Locals {
      replica: Replica;
    }
  }
}

export {};
