export const options = { port: 3000, reusePort: true };
