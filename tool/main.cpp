// The command-line tool's entry point: nothing but the way into command/.
#include "command/command.hpp"

int main(int argc, char** argv) { return mezzo::command::main(argc, argv); }
