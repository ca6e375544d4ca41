import { DBOS } from "@dbos-inc/dbos-sdk";

export const POST = async () => {
  await DBOS.launch();
  return new Response("ok\n");
};
