//! Configuration parameters: how the controller would be found by DHCP. Its address comes from its own configuration, so they are kept and
//! shown, and have no other effect.

use ipmi_wire::CompletionCode;
use ipmi_wire::command::dcmi::{
    Configuration, ConfigurationParameter, Dcmi, GetConfiguration, SetConfiguration, Setting,
};

use crate::Context;
use crate::table::{Act, Answer, Read};

impl Act for Dcmi<SetConfiguration> {
    async fn act(self, context: &Context) -> Answer<Dcmi<()>> {
        let setting = self.0.setting.ok_or(CompletionCode::PARAMETER_UNSUPPORTED)?;
        context
            .edit(move |editable| {
                let discovery = &mut editable.settings.dcmi.discovery;
                match setting {
                    // The listener's address never moves.
                    Setting::ActivateDhcp(_) => {}
                    Setting::Discovery { option_12, option_60, random_back_off } => {
                        discovery.option_12 = option_12;
                        discovery.option_60 = option_60;
                        discovery.random_back_off = random_back_off;
                    }
                    Setting::InitialTimeout(seconds) => discovery.initial_timeout = seconds,
                    Setting::ContactTimeout(seconds) => discovery.contact_timeout = seconds,
                    Setting::RetryInterval(seconds) => discovery.retry_interval = seconds,
                }
                Ok(())
            })
            .await
            .map(Dcmi)
    }
}

impl Read for Dcmi<GetConfiguration> {
    fn answer(self, context: &Context) -> Answer<Dcmi<Configuration>> {
        let parameter = self.0.parameter.ok_or(CompletionCode::PARAMETER_UNSUPPORTED)?;
        let discovery = context.bmc.snapshot().settings.dcmi.discovery;
        let setting = match parameter {
            ConfigurationParameter::ActivateDhcp => Setting::ActivateDhcp(false),
            ConfigurationParameter::Discovery => Setting::Discovery {
                option_12: discovery.option_12,
                option_60: discovery.option_60,
                random_back_off: discovery.random_back_off,
            },
            ConfigurationParameter::InitialTimeout => Setting::InitialTimeout(discovery.initial_timeout),
            ConfigurationParameter::ContactTimeout => Setting::ContactTimeout(discovery.contact_timeout),
            ConfigurationParameter::RetryInterval => Setting::RetryInterval(discovery.retry_interval),
        };
        Ok(Dcmi(setting.into()))
    }
}
