"""The stubs of the contract, by `npm run generate:clients`."""
