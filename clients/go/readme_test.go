package leasehold

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestEveryProgramOfTheReadmeRuns(t *testing.T) {
	server := address(t)
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	programs := regexp.MustCompile("(?ms)^```go\n(.*?)^```").FindAllStringSubmatch(string(readme), -1)
	if len(programs) != 2 {
		t.Fatalf("the README has %d programs, not 2", len(programs))
	}
	for _, program := range programs {
		text := strings.ReplaceAll(program[1], "127.0.0.1:50051", server)
		// The folder is inside the module, so that imports are found; `./...` skips a name that begins with a dot.
		folder, err := os.MkdirTemp(".", ".readme-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(folder) })
		if err := os.WriteFile(filepath.Join(folder, "main.go"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		output, err := exec.Command("go", "run", "./"+folder).CombinedOutput()
		if err != nil || len(output) == 0 {
			t.Errorf("%v: %s", err, output)
		}
		if formatted, err := exec.Command("gofmt", "-l", folder).CombinedOutput(); err != nil || len(formatted) > 0 {
			t.Errorf("not formatted: %s%v", formatted, err)
		}
	}
}

func TestTheReadmeNamesTheGoThatTheModuleNeeds(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	told := regexp.MustCompile(`Needs Go (\d+\.\d+) or newer`).FindSubmatch(readme)
	needed := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(module)
	if told == nil || needed == nil || string(told[1]) != string(needed[1]) {
		t.Fatalf("the README says %q, and go.mod %q", told, needed)
	}
}
