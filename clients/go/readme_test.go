package leasehold

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every Go program of the README runs as it stands, against the test's server.
func TestTheReadme(t *testing.T) {
	server := address(t)
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	programs := regexp.MustCompile("(?ms)^```go\n(.*?)^```").FindAllStringSubmatch(string(readme), -1)
	if len(programs) != 2 {
		t.Fatalf("%d programs", len(programs))
	}
	for _, program := range programs {
		text := strings.ReplaceAll(program[1], "127.0.0.1:50051", server)
		// Inside the module, so that its imports are found; a name with a dot is no package of `./...`.
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
