// A project of a stranger: a folder outside this repository, with what npm installs there and nothing else. Owns its
// files and how commands run in it.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const ENDS_WITHIN_MS = 300_000;

export class StrangeProject {
  readonly folder: string;
  readonly #environment: Readonly<Record<string, string>>;

  private constructor(folder: string, environment: Readonly<Record<string, string>>) {
    this.folder = folder;
    this.#environment = environment;
  }

  static async create(
    environment: Readonly<Record<string, string>>,
    type: 'module' | 'commonjs' = 'module',
  ): Promise<StrangeProject> {
    const project = new StrangeProject(await mkdtemp(join(tmpdir(), 'leasehold-stranger-')), environment);
    await project.write('package.json', JSON.stringify({ private: true, type }));
    return project;
  }

  async write(path: string, text: string): Promise<void> {
    await mkdir(dirname(join(this.folder, path)), { recursive: true });
    await writeFile(join(this.folder, path), text);
  }

  install(...packages: readonly string[]): Promise<string> {
    return this.run('npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', ...packages);
  }

  /** Returns all that it prints. Rejects with it unless the exit code is 0. */
  run(command: string, ...args: readonly string[]): Promise<string> {
    return this.runWith({}, command, ...args);
  }

  runWith(
    environment: Readonly<Record<string, string>>,
    command: string,
    ...args: readonly string[]
  ): Promise<string> {
    // Node.js is the one that runs this. The variables of npm around it would lead npm back to this repository.
    const outer = Object.entries(process.env).filter(
      ([name]) => !name.startsWith('npm_') && name !== 'NODE_OPTIONS',
    );
    const env = { ...Object.fromEntries(outer), ...this.#environment, ...environment };
    const path = [join(this.folder, 'node_modules/.bin'), dirname(process.execPath), process.env.PATH].join(
      ':',
    );
    const child = spawn(command, args, {
      cwd: this.folder,
      env: { ...env, PATH: path },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: ENDS_WITHIN_MS,
    });
    return new Promise((resolve, reject) => {
      let said = '';
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text: string) => {
          said += text;
        });
      child.once('error', reject);
      child.once('close', (code, signal) => {
        if (code === 0) resolve(said);
        else reject(new Error(`${command} ${args.join(' ')} ended with ${code ?? signal}:\n${said}`));
      });
    });
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
