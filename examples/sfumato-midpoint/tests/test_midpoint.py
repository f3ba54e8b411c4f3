from sfumato.testing import PluginContract, SamplerContract


class TestPlugin(PluginContract):
    name = "midpoint"


class TestMidpoint(SamplerContract):
    name = "midpoint"
