// Completion scripts, generated from the program's own commands and options.

import type { Command } from 'commander';

interface Node {
  /** "locks ls"; empty for the program itself. */
  readonly path: string;
  readonly description: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  /** What the arguments can be, where that is a choice. */
  readonly choices: readonly string[];
  readonly options: readonly {
    readonly flag: string;
    readonly description: string;
    readonly takesFile: boolean;
  }[];
}

export function completionOf(shell: 'bash' | 'zsh' | 'fish', program: Command): string {
  const nodes = nodesOf(program, []);
  if (shell === 'fish') return fish(nodes);
  return shell === 'bash' ? bash(nodes) : `autoload -Uz bashcompinit && bashcompinit\n${bash(nodes)}`;
}

function nodesOf(command: Command, path: readonly string[]): Node[] {
  const options = command.createHelp().visibleOptions(command);
  const node: Node = {
    path: path.join(' '),
    description: command.summary() || command.description(),
    commands: command.commands.map((one) => ({
      name: one.name(),
      description: one.summary() || one.description(),
    })),
    choices: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
    options: options.flatMap(({ long, description, flags }) =>
      long ? [{ flag: long, description, takesFile: flags.includes('<file>') }] : [],
    ),
  };
  return [node, ...command.commands.flatMap((one) => nodesOf(one, [...path, one.name()]))];
}

// The script reads COMP_WORDS only, so it needs no completion package and works in zsh through bashcompinit.
function bash(nodes: readonly Node[]): string {
  const cases = nodes.map(({ path, commands, choices, options }) => {
    const names = [...commands.map(({ name }) => name), ...choices];
    const words = [...names, ...options.map(({ flag }) => flag)].join(' ');
    return `    "${path}") words="${words}" ;;`;
  });
  const paths = nodes.filter(({ path }) => path !== '').map(({ path }) => `"${path}"`);
  const files = [
    ...new Set(
      nodes.flatMap(({ options }) => options.filter(({ takesFile }) => takesFile)).map(({ flag }) => flag),
    ),
  ];
  return `# leasehold completion
_leasehold() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" path="" words="" word i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    if [ "$word" = "--" ]; then
      if [ $((COMP_CWORD - i)) -eq 1 ]; then COMPREPLY=($(compgen -c -- "$current"))
      else COMPREPLY=($(compgen -f -- "$current")); fi
      return
    fi
    case "\${path:+$path }$word" in
      ${paths.join('|')}) path="\${path:+$path }$word" ;;
    esac
  done
  case "$previous" in
    ${files.join('|')}) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _leasehold leasehold
`;
}

function fish(nodes: readonly Node[]): string {
  const quoted = (text: string): string => `'${text.split('\n', 1)[0]?.replace(/['\\]/g, '\\$&') ?? ''}'`;
  const lines = nodes.flatMap(({ path, commands, choices, options }) => {
    const condition = conditionOf(path, [...commands.map(({ name }) => name), ...choices]);
    return [
      ...choices.map((word) => `complete -c leasehold -f -n ${condition} -a ${word}`),
      ...commands.map(
        ({ name, description }) =>
          `complete -c leasehold -f -n ${condition} -a ${name} -d ${quoted(description)}`,
      ),
      ...options.map(({ flag, description, takesFile }) => {
        const file = takesFile ? ' -r -F' : '';
        return `complete -c leasehold -n ${condition} -l ${flag.slice(2)}${file} -d ${quoted(description)}`;
      }),
    ];
  });
  return `# leasehold completion
function __leasehold_command
  set -l words (commandline -opc)
  set -e words[1..(contains -i -- -- $words)]
  complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
end
complete -c leasehold -f -n '${BEFORE_COMMAND.replace('not ', '')}' -a '(__leasehold_command)'
${lines.join('\n')}
`;
}

/** What follows "--" is another command, whose words may be the same. */
const BEFORE_COMMAND = 'not contains -- -- (commandline -opc)';

function conditionOf(path: string, words: readonly string[]): string {
  if (path === '') return '__fish_use_subcommand';
  const seen = path.split(' ').map((word) => `__fish_seen_subcommand_from ${word}`);
  const notYet = words.length === 0 ? [] : [`not __fish_seen_subcommand_from ${words.join(' ')}`];
  return `'${[BEFORE_COMMAND, ...seen, ...notYet].join('; and ')}'`;
}
