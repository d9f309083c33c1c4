// Says of each history in its input whether it is linearizable, by porcupine: what the suite's own search for an order is
// compared with. The model is the register of test/support/chaos-register.ts.
//
// Input: a JSON list of histories, each a list of calls. Output: a JSON list of true and false.
package main

import (
	"encoding/json"
	"log"
	"math"
	"os"

	"github.com/anishathalye/porcupine"
)

type op struct {
	Kind     string `json:"kind"`
	Value    int    `json:"value"`
	Expected int    `json:"expected"`
	// Of a cas with a known outcome: whether it found what it expected.
	IsSwapped bool `json:"isSwapped"`
	IsKnown   bool `json:"isKnown"`
}

type call struct {
	Op     op    `json:"op"`
	FromMs int64 `json:"fromMs"`
	// Nil: the outcome is unknown.
	ToMs *int64 `json:"toMs"`
}

var register = porcupine.Model{
	Init: func() any { return 0 },
	Step: func(state, input, _ any) (bool, any) {
		o, value := input.(op), state.(int)
		found := value == o.Expected
		switch {
		case o.Kind == "read":
			return value == o.Value, value
		case o.Kind == "write":
			return true, o.Value
		case o.IsKnown && o.IsSwapped != found:
			return false, value
		case found:
			return true, o.Value
		default:
			return true, value
		}
	},
}

func main() {
	var histories [][]call
	if err := json.NewDecoder(os.Stdin).Decode(&histories); err != nil {
		log.Fatal(err)
	}
	answers := make([]bool, 0, len(histories))
	for _, history := range histories {
		operations := make([]porcupine.Operation, 0, len(history))
		for client, c := range history {
			// An unknown outcome ends after everything else, where it may as well have had no effect.
			to := int64(math.MaxInt64)
			if c.ToMs != nil {
				to = *c.ToMs
			}
			operations = append(operations, porcupine.Operation{ClientId: client, Input: c.Op, Call: c.FromMs, Return: to})
		}
		answers = append(answers, porcupine.CheckOperations(register, operations))
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		log.Fatal(err)
	}
}
