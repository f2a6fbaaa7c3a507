"""Text to definition: reads the Serverless Workflow DSL and says what is wrong with it. Pure."""
