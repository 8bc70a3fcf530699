"""One step of the emulator on one device, its operands, runs of many steps, and derivatives."""
