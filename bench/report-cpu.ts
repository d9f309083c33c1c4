// Loaded before a server that is measured (node --import): answers each message of the parent with the CPU time that
// the process has used, in microseconds. The server itself knows nothing of it.
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.(user + system);
});
